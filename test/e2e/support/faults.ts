// Faults for tests of what must survive them. Each ends by its `undo`, and by itself after a limit.
export { restartApiServer, stopApiServer } from "./faults/apiServer";
export { slowEtcd } from "./faults/etcd";
export type { Fault } from "./faults/fault";
export { flood429 } from "./faults/flood";
export { cutProxy, type CutProxy } from "./faults/proxy";
export { countRejected, countRequests, userKubeconfig } from "./faults/users";
