import { describe } from "vitest";
import { adoptionJourney } from "./support/adoptionJourney";
import { installVizByCli } from "./support/foreignLinkerd";

describe("a user takes over a control plane and a viz of the linkerd CLI", () => {
    adoptionJourney({
        name: "adopt-cli",
        installViz: installVizByCli,
        revisions: [1, 2, 3],
        freed: false,
    });
});
