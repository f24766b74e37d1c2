// Helm's post-renderer for control plane and CNI plugin.
import { filter } from "./filter";
import { orderManifests } from "./orderManifests";

filter(orderManifests);
