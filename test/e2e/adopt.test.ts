import { describe } from "vitest";
import { adoptionJourney } from "./support/adoptionJourney";
import { installVizByHelm } from "./support/foreignLinkerd";

describe("a user takes over a control plane of the linkerd CLI, with viz as a Helm release", () => {
    adoptionJourney({
        name: "adopt",
        installViz: installVizByHelm,
        revisions: [2, 3, 4],
        freed: true,
    });
});
