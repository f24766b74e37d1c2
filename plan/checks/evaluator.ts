import type { LinkerdHealth } from "./observation";
import type { Finding } from "./result";

/** The checks of one category, by id. */
export type Evaluators = Readonly<Record<string, (health: LinkerdHealth) => Finding>>;
