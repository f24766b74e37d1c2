/** What kwok writes for a simulated kubelet: templates of Go over the object, in YAML. */

/** How long a crashed container waits, as Go writes durations. */
export const restartEvery = "10s";

const now = "{{ Now | Quote }}";

export const nodeStatus = `
phase: Running
conditions:
{{ $since := or .metadata.creationTimestamp Now }}
{{ range NodeConditions }}
- type: {{ .type }}
  status: {{ .status | Quote }}
  reason: {{ .reason }}
  message: {{ .message | Quote }}
  lastHeartbeatTime: ${now}
  lastTransitionTime: {{ $since | Quote }}
{{ end }}
addresses:
- { type: Hostname, address: {{ NodeName | Quote }} }
daemonEndpoints: { kubeletEndpoint: { Port: {{ NodePort }} } }
nodeInfo:
  architecture: amd64
  operatingSystem: linux
  bootID: ""
  machineID: ""
  systemUUID: ""
  osImage: ""
  containerRuntimeVersion: kwok-{{ Version }}
  kernelVersion: kwok-{{ Version }}
  kubeProxyVersion: kwok-{{ Version }}
  kubeletVersion: kwok-{{ Version }}
`;

/** The name of the container that crashes, for the templates that need it. */
const crashingName = `
{{ $crashing := "" }}
{{ range .spec.containers }}{{ if ne .name "linkerd-proxy" }}{{ $crashing = .name }}{{ end }}{{ end }}
{{ range .spec.containers }}{{ if eq .name "main" }}{{ $crashing = "main" }}{{ end }}{{ end }}
`;

/** A condition whose time moves only where its status does. */
function condition(type: string, value: "True" | "False", why?: { reason: string; text: string }) {
    return `
- type: ${type}
  status: "${value}"
  reason: ${why?.reason ?? '""'}
  message: ${JSON.stringify(why?.text ?? "")}
  {{ if ne (get $was "${type}") "${value}" }}lastTransitionTime: ${now}{{ end }}`;
}

/** `lines` are the conditions; `$was` holds their status of before. */
function conditions(...lines: string[]): string {
    return `
{{ $was := dict }}
{{ range .status.conditions }}{{ $_ := set $was .type .status }}{{ end }}
conditions:${lines.join("")}
`;
}

const unready = (reason: string, text: string) => [
    condition("Ready", "False", { reason, text }),
    condition("ContainersReady", "False", { reason, text }),
];
const unreadyContainers = (names: string) =>
    unready("ContainersNotReady", `containers with unready status: [${names}]`);
const namesOf = (list: string) =>
    `{{ range $i, $one := ${list} }}{{ if $i }} {{ end }}{{ $one.name }}{{ end }}`;

interface ContainerStatus {
    ready: boolean;
    started?: boolean;
    state: string;
    restarts?: string;
    lastState?: string;
}

function container({ ready, started = ready, state, restarts, lastState }: ContainerStatus) {
    return `
- name: {{ .name }}
  image: {{ .image | Quote }}
  imageID: ""
  ready: ${ready}
  started: ${started}
  restartCount: ${restarts ?? 0}
  state: ${state}
  lastState: ${lastState ?? "{}"}`;
}

const running = container({ ready: true, state: `{ running: { startedAt: ${now} } }` });
const ended = (code: number, reason: string) =>
    `{ terminated: { exitCode: ${code}, reason: ${reason}, startedAt: ${now}, finishedAt: ${now} } }`;
const succeeded = container({ ready: false, state: ended(0, "Completed") });
const initDone = container({ ready: true, started: false, state: ended(0, "Completed") });
const waitingFor = (reason: string) =>
    container({ ready: false, state: `{ waiting: { reason: ${reason} } }` });

const pod = "{{ $.metadata.name }}_{{ $.metadata.namespace }}({{ $.metadata.uid }})";
const backOff = `back-off ${restartEvery} restarting failed container={{ .name }} pod=${pod}`;
const crashedContainer = (restarts: string) =>
    container({
        ready: false,
        state: `{ waiting: { reason: CrashLoopBackOff, message: "${backOff}" } }`,
        restarts,
        lastState: ended(1, "Error"),
    });

/** `status` is of one container, which it may tell from others. */
const containerStatuses = (status: string) => `
containerStatuses:
{{ range .spec.containers }}${status}
{{ end }}`;

const initContainerStatuses = (status: string, ofSidecar = status) => `
initContainerStatuses:
{{ range .spec.initContainers }}
{{ if eq (or .restartPolicy "") "Always" }}${ofSidecar}{{ else }}${status}{{ end }}
{{ end }}`;

const unlessCrashing = (crashing: string, other: string) =>
    `{{ if eq .name $crashing }}${crashing}{{ else }}${other}{{ end }}`;

const initialized = condition("Initialized", "True");

const creating = `
{{ $reason := "ContainerCreating" }}
{{ if .spec.initContainers }}{{ $reason = "PodInitializing" }}{{ end }}
${conditions(
    `{{ if .spec.initContainers }}${condition("Initialized", "False", {
        reason: "ContainersNotInitialized",
        text: `containers with incomplete status: [${namesOf(".spec.initContainers")}]`,
    })}{{ else }}${initialized}{{ end }}`,
    ...unreadyContainers(namesOf(".spec.containers")),
)}
${initContainerStatuses(waitingFor("PodInitializing"))}
${containerStatuses(waitingFor("{{ $reason }}"))}
`;

const started = `
${conditions(
    initialized,
    condition("Ready", "True"),
    condition("ContainersReady", "True"),
    `{{ range .spec.readinessGates }}
- { type: {{ .conditionType | Quote }}, status: "True", lastTransitionTime: ${now} }
{{ end }}`,
)}
${initContainerStatuses(initDone, running)}
${containerStatuses(running)}
`;

const crashed = `
${crashingName}
${conditions(initialized, ...unreadyContainers("{{ $crashing }}"))}
${initContainerStatuses(initDone, running)}
${containerStatuses(unlessCrashing(crashedContainer("1"), running))}
`;

const crashedAgain = `
${crashingName}
${conditions(...unreadyContainers("{{ $crashing }}"))}
containerStatuses:
{{ range .status.containerStatuses }}
${unlessCrashing(crashedContainer("{{ add .restartCount 1 }}"), "\n- {{ . | toJson }}")}
{{ end }}
`;

const completed = `
${conditions(initialized, ...unready("PodCompleted", ""))}
phase: Succeeded
${initContainerStatuses(initDone)}
${containerStatuses(succeeded)}
`;

/** What each status that kwok writes for a living pod says besides its containers. */
function podStatus(phase: "Pending" | "Running", containers: string): string {
    return `
phase: ${phase}
startTime: {{ or .status.startTime Now | Quote }}
hostIP: {{ NodeIPWith .spec.nodeName | Quote }}
podIP: {{ or .status.podIP (PodIPWith .spec.nodeName (or .spec.hostNetwork false) (or .metadata.uid "") (or .metadata.name "") (or .metadata.namespace "")) | Quote }}
${containers}`;
}

/** Of a pod, by what has happened to it. */
export const podStatuses = {
    creating: podStatus("Pending", creating),
    started: podStatus("Running", started),
    crashed: podStatus("Running", crashed),
    crashedAgain,
    completed,
};
