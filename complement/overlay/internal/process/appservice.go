package process

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/matrix-org/complement/b"
)

// writeRegistrations writes one registration file for each application service into a folder of the server.
func writeRegistrations(server *server, services []b.ApplicationService) error {
	if err := os.MkdirAll(server.registrations(), 0o755); err != nil {
		return err
	}
	for _, service := range services {
		path := filepath.Join(server.registrations(), service.ID+".yaml")
		if err := os.WriteFile(path, []byte(registration(service)), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// registrations is the folder that the server reads registrations from.
func (s *server) registrations() string {
	return filepath.Join(s.folder, "appservices")
}

// registration describes a service that may be any user, and shares them all with others.
func registration(service b.ApplicationService) string {
	return fmt.Sprintf(`id: %q
url: %q
as_token: %q
hs_token: %q
sender_localpart: %q
rate_limited: %t
receive_ephemeral: %t
namespaces:
  users:
    - exclusive: false
      regex: ".*"
  aliases: []
  rooms: []
`, service.ID, service.URL, service.ASToken, service.HSToken, service.SenderLocalpart,
		service.RateLimited, service.SendEphemeral)
}
