/** What the gateway tells the process that started it. */
export type GatewayMessage =
    | { type: "progress"; line: string }
    | { type: "ready"; uid: string }
    | { type: "failed"; message: string };
