package process

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/matrix-org/gomatrixserverlib"
	"github.com/matrix-org/gomatrixserverlib/spec"

	"github.com/matrix-org/complement/b"
	"github.com/matrix-org/complement/client"
	"github.com/matrix-org/complement/config"
	"github.com/matrix-org/complement/ct"
	"github.com/matrix-org/complement/helpers"
)

// The password of users whose test does not choose one.
const defaultPassword = "complement_meets_min_password_req"

// Deployment is a set of servers that know each other, for one test.
type Deployment struct {
	suite     *Suite
	folder    string
	logs      string
	addresses map[string]string
	// Its servers outlive the test that asked for them.
	dirty bool
	users atomic.Int64

	mutex   sync.RWMutex
	servers map[string]*server
}

// GetFullyQualifiedHomeserverName returns the server name of hsName, which is the same.
func (d *Deployment) GetFullyQualifiedHomeserverName(t ct.TestLike, hsName string) spec.ServerName {
	t.Helper()
	return spec.ServerName(d.server(t, hsName).name)
}

// UnauthenticatedClient returns a client of the server that is not logged in.
func (d *Deployment) UnauthenticatedClient(t ct.TestLike, hsName string) *client.CSAPI {
	t.Helper()
	return d.client(t, hsName)
}

// Register creates a user with a name that no other user of the deployment has, and logs it in. Administrators are
// created with the server's shared secret.
func (d *Deployment) Register(t ct.TestLike, hsName string, opts helpers.RegistrationOpts) *client.CSAPI {
	t.Helper()
	user := d.client(t, hsName)
	user.Password = opts.Password
	if user.Password == "" {
		user.Password = defaultPassword
	}
	localpart := fmt.Sprintf("user-%d", d.users.Add(1))
	if opts.LocalpartSuffix != "" {
		localpart += "-" + opts.LocalpartSuffix
	}
	if opts.IsAdmin {
		user.UserID, user.AccessToken, user.DeviceID = user.RegisterSharedSecret(t, localpart, user.Password, true)
	} else {
		user.UserID, user.AccessToken, user.DeviceID = user.RegisterUser(t, localpart, user.Password)
	}
	return user
}

// Login logs an existing user in once more. The password is the one in opts, even when that is empty, as the tests say
// it each time.
func (d *Deployment) Login(t ct.TestLike, hsName string, existing *client.CSAPI, opts helpers.LoginOpts) *client.CSAPI {
	t.Helper()
	localpart, _, err := gomatrixserverlib.SplitID('@', existing.UserID)
	if err != nil {
		ct.Fatalf(t, "Login: %q is not a user id: %s", existing.UserID, err)
	}
	user := d.client(t, hsName)
	user.Password = existing.Password
	if opts.Password != "" {
		user.Password = opts.Password
	}
	var options []client.LoginOpt
	if opts.DeviceID != "" {
		options = append(options, client.WithDeviceID(opts.DeviceID))
	}
	user.UserID, user.AccessToken, user.DeviceID = user.LoginUser(t, localpart, opts.Password, options...)
	return user
}

// AppServiceUser returns a client for a user that the deployment's blueprint created, or for the sender of one of its
// application services.
func (d *Deployment) AppServiceUser(t ct.TestLike, hsName, appServiceUserID string) *client.CSAPI {
	t.Helper()
	user := d.client(t, hsName)
	if appServiceUserID == "" {
		return user
	}
	known, ok := d.server(t, hsName).sessions[appServiceUserID]
	if !ok {
		ct.Fatalf(t, "AppServiceUser: the blueprint has no user %s on %s", appServiceUserID, hsName)
	}
	user.UserID, user.AccessToken, user.DeviceID = appServiceUserID, known.token, known.device
	return user
}

// Restart stops and starts every server of the deployment; their data and addresses stay.
func (d *Deployment) Restart(t ct.TestLike) error {
	t.Helper()
	for _, server := range d.all() {
		if err := server.stop(); err != nil {
			return err
		}
		if err := server.start(); err != nil {
			return err
		}
	}
	return nil
}

// StopServer ends a server in the orderly way; its data stays.
func (d *Deployment) StopServer(t ct.TestLike, hsName string) {
	t.Helper()
	d.do(t, "StopServer", hsName, (*server).stop)
}

// StartServer starts a server that was stopped, on the same data and address.
func (d *Deployment) StartServer(t ct.TestLike, hsName string) {
	t.Helper()
	d.do(t, "StartServer", hsName, (*server).start)
}

// PauseServer suspends a server: its connections stay open and nobody answers.
func (d *Deployment) PauseServer(t ct.TestLike, hsName string) {
	t.Helper()
	d.do(t, "PauseServer", hsName, (*server).pause)
}

// UnpauseServer lets a suspended server go on.
func (d *Deployment) UnpauseServer(t ct.TestLike, hsName string) {
	t.Helper()
	d.do(t, "UnpauseServer", hsName, (*server).unpause)
}

// ContainerID returns what identifies the running server to the system: its process id.
func (d *Deployment) ContainerID(t ct.TestLike, hsName string) string {
	t.Helper()
	pid, err := d.server(t, hsName).pid()
	if err != nil {
		ct.Fatalf(t, "ContainerID: %s", err)
	}
	return strconv.Itoa(pid)
}

// Destroy ends the servers and removes their data; those of a dirty run go on for the next test. A test that failed is
// told where the logs are.
func (d *Deployment) Destroy(t ct.TestLike) {
	t.Helper()
	if t.Failed() {
		for _, server := range d.all() {
			t.Logf("the log of %s: %s", server.name, server.log)
		}
	}
	if !d.dirty {
		d.kill()
		d.suite.forget(d)
	}
}

// GetConfig returns what the tests may know about the way they are run.
func (d *Deployment) GetConfig() *config.Complement {
	return d.suite.Config
}

// RoundTripper returns what sends requests to the servers by their names, and to the tests' own servers.
func (d *Deployment) RoundTripper() http.RoundTripper {
	return &transport{deployment: d}
}

// Network names the network that all servers are on.
func (d *Deployment) Network() string {
	return "loopback"
}

func newDeployment(suite *Suite, label string) (*Deployment, error) {
	number := suite.deployments.Add(1)
	addresses := make(map[string]string)
	for _, name := range names(maxServers) {
		address, err := freeAddress()
		if err != nil {
			return nil, err
		}
		addresses[name] = address
	}
	// A subtest's name has slashes between its parts.
	logs := filepath.Join(suite.logs, strings.ReplaceAll(label, "/", "-"))
	if _, err := os.Stat(logs); err == nil {
		logs = fmt.Sprintf("%s-%d", logs, number)
	}
	return &Deployment{
		suite:     suite,
		folder:    filepath.Join(suite.folder, strconv.FormatInt(number, 10)),
		logs:      logs,
		addresses: addresses,
		servers:   make(map[string]*server),
	}, nil
}

// grow starts those of the named servers that the deployment does not have, all at once.
func (d *Deployment) grow(names []string, services map[string][]b.ApplicationService) error {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	added := make(map[string]*server)
	if err := d.add(names, services, added); err != nil {
		// The next test that shares the deployment starts them anew.
		for _, server := range added {
			server.kill()
			_ = os.RemoveAll(server.folder)
		}
		return err
	}
	maps.Copy(d.servers, added)
	return nil
}

func (d *Deployment) add(names []string, services map[string][]b.ApplicationService, added map[string]*server) error {
	for _, name := range names {
		if d.servers[name] != nil {
			continue
		}
		server, err := newServer(d, name, services[name])
		if err != nil {
			return err
		}
		added[name] = server
		if err := server.launch(); err != nil {
			return err
		}
	}
	for _, server := range added {
		if err := server.waitUntilReady(); err != nil {
			return err
		}
	}
	return nil
}

func (d *Deployment) kill() {
	for _, server := range d.all() {
		server.kill()
	}
	_ = os.RemoveAll(d.folder)
}

func (d *Deployment) all() []*server {
	d.mutex.RLock()
	defer d.mutex.RUnlock()
	var all []*server
	for _, name := range names(maxServers) {
		if server := d.servers[name]; server != nil {
			all = append(all, server)
		}
	}
	return all
}

func (d *Deployment) find(name string) (*server, error) {
	d.mutex.RLock()
	defer d.mutex.RUnlock()
	if server := d.servers[name]; server != nil {
		return server, nil
	}
	return nil, fmt.Errorf("the deployment has no server %q", name)
}

func (d *Deployment) server(t ct.TestLike, name string) *server {
	t.Helper()
	server, err := d.find(name)
	if err != nil {
		ct.Fatalf(t, "%s", err)
	}
	return server
}

func (d *Deployment) do(t ct.TestLike, what, name string, action func(*server) error) {
	t.Helper()
	t.Logf("%s %s", what, name)
	if err := action(d.server(t, name)); err != nil {
		ct.Fatalf(t, "%s: %s", what, err)
	}
}

func (d *Deployment) client(t ct.TestLike, name string) *client.CSAPI {
	t.Helper()
	return client.NewCSAPI(client.CSAPIOpts{
		BaseURL:          d.server(t, name).clientURL(),
		Client:           client.NewLoggedClient(t, name, nil),
		SyncUntilTimeout: 5 * time.Second,
		Debug:            d.suite.Config.DebugLoggingEnabled,
	})
}
