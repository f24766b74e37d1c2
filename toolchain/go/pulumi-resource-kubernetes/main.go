// The Kubernetes provider for Pulumi, served from its public packages. The module's own main cannot be
// built from the module proxy: it embeds files that are generated at release time. The schema is not
// needed to run programs written against the published SDK.
package main

import "github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/provider"

var version = "4.18.2"

func main() {
	provider.Serve("kubernetes", version, nil, []byte("{}"))
}
