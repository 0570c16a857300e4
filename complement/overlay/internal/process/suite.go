// Package process deploys Matrix homeservers for Complement's tests as ordinary processes on loopback addresses.
package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/matrix-org/complement/b"
	"github.com/matrix-org/complement/config"
	"github.com/matrix-org/complement/ct"
	"github.com/matrix-org/complement/internal/instruction"
)

// The most servers that a test of the suite deploys. Addresses for all of them are set aside with the first, so that a
// shared deployment can grow without its older servers having to learn new addresses.
const maxServers = 3

// Suite starts the servers of one test package and knows all that they have in common.
type Suite struct {
	Config *config.Complement

	binary      string
	logs        string
	folder      string
	authority   *authority
	templates   *templates
	deployments atomic.Int64

	// Held while the deployment that all tests of a dirty run use is created or grows; it is nil until a test asks for it.
	sharing sync.Mutex
	shared  *Deployment

	mutex sync.Mutex
	alive map[*Deployment]struct{}
}

// NewSuite reads the environment: COMMONROOM_BINARY is the server, COMPLEMENT_LOGS the folder for the servers' logs, and
// COMPLEMENT_DEBUG, COMPLEMENT_ENABLE_DIRTY_RUNS and COMPLEMENT_SPAWN_HS_TIMEOUT_SECS mean what Complement says.
func NewSuite(namespace string) (*Suite, error) {
	binary := os.Getenv("COMMONROOM_BINARY")
	if binary == "" {
		return nil, errors.New("COMMONROOM_BINARY is not set: run the tests with complement/run")
	}
	folder, err := os.MkdirTemp("", "complement-"+namespace+"-")
	if err != nil {
		return nil, err
	}
	// The tests' own federation servers keep their key and certificate in the folder for temporary files, under fixed
	// names, so packages that run at the same time must not share one.
	if err := os.Setenv("TMPDIR", folder); err != nil {
		return nil, err
	}
	logs := os.Getenv("COMPLEMENT_LOGS")
	if logs == "" {
		logs = filepath.Join(folder, "logs")
	}
	authority, err := newAuthority(folder)
	if err != nil {
		return nil, err
	}
	timeout, err := spawnTimeout()
	if err != nil {
		return nil, err
	}
	return &Suite{
		Config: &config.Complement{
			PackageNamespace:          namespace,
			DebugLoggingEnabled:       os.Getenv("COMPLEMENT_DEBUG") == "1",
			EnableDirtyRuns:           os.Getenv("COMPLEMENT_ENABLE_DIRTY_RUNS") == "1",
			SpawnHSTimeout:            timeout,
			HostnameRunningComplement: "localhost",
			HSPortBindingIP:           "127.0.0.1",
			CACertificate:             authority.certificate,
			CAPrivateKey:              authority.key,
		},
		binary:    binary,
		logs:      logs,
		folder:    folder,
		authority: authority,
		templates: newTemplates(binary, filepath.Join(folder, "templates")),
		alive:     make(map[*Deployment]struct{}),
	}, nil
}

// Deploy returns count servers: fresh ones, or in a dirty run those that the package's tests share.
func (s *Suite) Deploy(t ct.TestLike, count int) *Deployment {
	t.Helper()
	if count > maxServers {
		ct.Fatalf(t, "%d servers were asked for, at most %d can be had", count, maxServers)
	}
	if !s.Config.EnableDirtyRuns {
		return s.deploy(t, t.Name(), names(count), nil)
	}
	s.sharing.Lock()
	defer s.sharing.Unlock()
	if s.shared == nil {
		s.shared = s.deploy(t, "shared", nil, nil)
		s.shared.dirty = true
	}
	if err := s.shared.grow(names(count), nil); err != nil {
		ct.Fatalf(t, "the shared deployment cannot have %d servers: %s", count, err)
	}
	return s.shared
}

// DeployBlueprint returns fresh servers with everything in them that the blueprint describes.
func (s *Suite) DeployBlueprint(t ct.TestLike, blueprint b.Blueprint) *Deployment {
	t.Helper()
	var servers []string
	services := make(map[string][]b.ApplicationService)
	for _, described := range blueprint.Homeservers {
		servers = append(servers, described.Name)
		services[described.Name] = described.ApplicationServices
	}
	deployment := s.deploy(t, t.Name(), servers, services)
	runner := instruction.NewRunner(blueprint.Name, false, s.Config.DebugLoggingEnabled)
	for _, described := range blueprint.Homeservers {
		server := deployment.servers[described.Name]
		if err := runner.Run(described, server.clientURL()); err != nil {
			deployment.Destroy(t)
			ct.Fatalf(t, "blueprint %s: %s", blueprint.Name, err)
		}
		for user, token := range runner.AccessTokens(described.Name) {
			server.sessions[user] = session{token: token, device: runner.DeviceIDs(described.Name)[user]}
		}
		for _, service := range described.ApplicationServices {
			user := fmt.Sprintf("@%s:%s", service.SenderLocalpart, described.Name)
			server.sessions[user] = session{token: service.ASToken}
		}
	}
	return deployment
}

// Close ends every server that is left and removes their data.
func (s *Suite) Close() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for deployment := range s.alive {
		deployment.kill()
	}
	_ = os.RemoveAll(s.folder)
}

func (s *Suite) deploy(
	t ct.TestLike, label string, servers []string, services map[string][]b.ApplicationService,
) *Deployment {
	t.Helper()
	started := time.Now()
	deployment, err := newDeployment(s, label)
	if err != nil {
		ct.Fatalf(t, "no deployment: %s", err)
	}
	s.mutex.Lock()
	s.alive[deployment] = struct{}{}
	s.mutex.Unlock()
	if err := deployment.grow(servers, services); err != nil {
		deployment.kill()
		ct.Fatalf(t, "no deployment: %s", err)
	}
	t.Logf("%d servers started in %s", len(servers), time.Since(started).Round(time.Millisecond))
	return deployment
}

func (s *Suite) forget(deployment *Deployment) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	delete(s.alive, deployment)
}

func names(count int) []string {
	names := make([]string, count)
	for i := range names {
		names[i] = fmt.Sprintf("hs%d", i+1)
	}
	return names
}

// A server is ready in a fraction of a second; the rest of this is for a machine that does other work too.
const defaultSpawnTimeout = 10 * time.Second

func spawnTimeout() (time.Duration, error) {
	text := os.Getenv("COMPLEMENT_SPAWN_HS_TIMEOUT_SECS")
	if text == "" {
		return defaultSpawnTimeout, nil
	}
	seconds, err := strconv.Atoi(text)
	if err != nil || seconds < 1 {
		return 0, fmt.Errorf("COMPLEMENT_SPAWN_HS_TIMEOUT_SECS is %q and not a number of seconds", text)
	}
	return time.Duration(seconds) * time.Second, nil
}
