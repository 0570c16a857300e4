package process

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
)

// transport sends a test's requests between servers: https://hs1 goes to the address of hs1, and the tests' own servers
// are where their name says. Whoever answers must show a certificate of the run's authority for the name that was asked for.
type transport struct {
	deployment *Deployment
}

func (t *transport) RoundTrip(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	request.URL.Scheme = "https"
	// One connection for each request: servers stop, pause and restart between them.
	once := http.Transport{
		DisableKeepAlives: true,
		DialContext:       t.dial,
		TLSClientConfig: &tls.Config{
			ServerName: request.URL.Hostname(),
			RootCAs:    t.deployment.suite.authority.trust(),
		},
	}
	return once.RoundTrip(request)
}

func (t *transport) dial(ctx context.Context, network, authority string) (net.Conn, error) {
	name, _, err := net.SplitHostPort(authority)
	if err != nil {
		return nil, err
	}
	var dialer net.Dialer
	if name == t.deployment.suite.Config.HostnameRunningComplement {
		return dialer.DialContext(ctx, network, authority)
	}
	server, err := t.deployment.find(name)
	if err != nil {
		return nil, err
	}
	return dialer.DialContext(ctx, network, fmt.Sprintf("%s:%d", server.address, federationPort))
}
