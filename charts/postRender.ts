// Helm's post-renderer for control plane, CNI plugin and extensions.
import { filter } from "./filter";
import { orderManifests } from "./orderManifests";

filter(orderManifests);
