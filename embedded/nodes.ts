import type { V1Node } from "@kubernetes/client-node";

// Nothing runs on a simulated node, so nothing is gained by letting it fill up.
const room = { cpu: "64", memory: "256Gi", "ephemeral-storage": "1Ti", pods: "500" };

/** A node that kwok plays the kubelet for. */
export function fakeNode(index: number): V1Node {
    const name = `node-${index}`;
    return {
        apiVersion: "v1",
        kind: "Node",
        metadata: {
            name,
            annotations: { "kwok.x-k8s.io/node": "fake", "node.alpha.kubernetes.io/ttl": "0" },
            labels: {
                "kubernetes.io/arch": "amd64",
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/role": "agent",
                "node-role.kubernetes.io/agent": "",
                "topology.kubernetes.io/zone": `zone-${index}`,
                type: "kwok",
            },
        },
        // A range a node, as a controller manager with --allocate-node-cidrs would hand out: tools
        // that compare the mesh's networks with the nodes' find what they look for.
        spec: { podCIDR: `10.244.${index}.0/24`, podCIDRs: [`10.244.${index}.0/24`] },
        status: { allocatable: room, capacity: room },
    };
}
