import { KubeConfig } from "@kubernetes/client-node";

/** Loads one context of a kubeconfig file. */
export function loadContext(kubeconfigPath: string, context: string): KubeConfig {
    const config = new KubeConfig();
    config.loadFromFile(kubeconfigPath);
    config.setCurrentContext(context);
    return config;
}
