package keyward

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The built service of the repository.
const serviceProgram = "../../dist/cli/main.js"

// replica is a process of the real service.
type replica struct {
	t       testing.TB
	address string
	dataDir string
	output  *os.File
	command *exec.Cmd
}

// makeDataDir makes a place for a database. The test is skipped where the service cannot run.
func makeDataDir(t testing.TB) string {
	t.Helper()
	if _, err := os.Stat(serviceProgram); err != nil {
		t.Skip("SKIPPED: the service is not built: npm run build")
	}
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("SKIPPED: there is no Node.js")
	}
	dir, err := os.MkdirTemp("", "keyward-go-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	// The database runs as another user, who must reach it.
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "data")
}

// startReplica starts the service, with a database of its own in the data directory, or with that which is there.
func startReplica(t testing.TB, dataDir string) *replica {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	output, err := os.Create(filepath.Join(t.TempDir(), "output"))
	if err != nil {
		t.Fatal(err)
	}
	r := &replica{t: t, address: listener.Addr().String(), dataDir: dataDir, output: output}
	r.start()
	t.Cleanup(r.stop)
	return r
}

func (r *replica) start() {
	r.t.Helper()
	r.command = exec.Command("node", "--enable-source-maps", serviceProgram, "serve")
	r.command.Env = append(os.Environ(),
		"KEYWARD_DATA_DIR="+r.dataDir, "KEYWARD_LISTEN="+r.address, "KEYWARD_HTTP_LISTEN=", "KEYWARD_LOG_LEVEL=warn")
	r.command.Stdout, r.command.Stderr = r.output, r.output
	if err := r.command.Start(); err != nil {
		r.t.Fatal(err)
	}
	client, err := Dial(r.t.Context(), Options{Servers: []string{r.address}, Timeout: 90 * time.Second})
	if err != nil {
		text, _ := os.ReadFile(r.output.Name())
		r.t.Fatalf("%v\n%s", err, text)
	}
	_ = client.Close()
}

func (r *replica) adminToken() string {
	token, err := os.ReadFile(filepath.Join(r.dataDir, "admin-token"))
	if err != nil {
		r.t.Fatal(err)
	}
	return strings.TrimSpace(string(token))
}

// stop stops it in order.
func (r *replica) stop() {
	if r.command.ProcessState != nil {
		return
	}
	_ = r.command.Process.Signal(syscall.SIGTERM)
	limit := time.AfterFunc(30*time.Second, func() { _ = r.command.Process.Kill() })
	defer limit.Stop()
	_ = r.command.Wait()
}
