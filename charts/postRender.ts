// Helm's post-renderer for the control plane.
import { filter } from "./filter";
import { orderManifests } from "./orderManifests";

filter(orderManifests);
