package keyward

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"time"
)

// DefaultServer is asked where Options.Servers names none.
const DefaultServer = "127.0.0.1:50051"

// Options are those of a client. All of them may be left out.
type Options struct {
	// Servers are host:port of the service, DefaultServer if there is none. Calls go to all in turn, and to all addresses
	// that a name stands for; those that cannot be reached are left out.
	Servers []string

	// Token is the caller's own token. At most one of it, TokenFile and TokenFunc is given.
	Token string
	// TokenFile is a file with that token. It is read again when it has changed, as mounted secrets do.
	TokenFile string
	// TokenFunc gives that token for each call.
	TokenFunc func(context.Context) (string, error)

	// TLS has it used on loopback (127.0.0.0/8, ::1, localhost, a Unix socket) too. Elsewhere it is used anyway.
	TLS bool
	// CAFile holds the authorities, PEM, that the server's certificate is checked by; those of this machine if empty.
	CAFile string
	// CertFile and KeyFile hold the caller's certificate chain and private key, PEM, for mutual TLS.
	CertFile, KeyFile string
	// Plaintext has everything sent unencrypted, the token too: only for a network that encrypts by itself.
	Plaintext bool
	// Proxy has connections go through the proxy that HTTPS_PROXY names, with TLS, and never to loopback.
	Proxy bool

	// Timeout is how long a call may take with its repetitions where its context has no deadline. If zero, it is 5 minutes
	// for calls that may delete any number of tokens (RevokeUserTokens, DeleteUser, DeleteUserProfile, DeleteAccount), and
	// 10 seconds for others. Streams have no limit.
	Timeout time.Duration
	// NoRetry has no call made again. Otherwise one that fails with UNAVAILABLE is, after 50 ms at first and at most every
	// 2 s, if that can do nothing twice: calls that only read, and those with a request_id or validate_only.
	NoRetry bool
	// Keepalive is when a connection counts as dead.
	Keepalive Keepalive
	// Metadata goes with every call.
	Metadata map[string]string

	// Label is what people call this program, in metrics and `keyward status`, where it holds verdicts or secrets: 1 to 63
	// of [A-Za-z0-9_.:/-], `go` if empty.
	Label string
}

// Keepalive is how a connection that is dead is found out while something is waited for.
type Keepalive struct {
	// Time is after how long without a sign of life one is asked for: 2 s if zero, never if negative.
	Time time.Duration
	// Timeout is how long the answer may take: 2 s if zero.
	Timeout time.Duration
}

const defaultKeepalive = 2 * time.Second

func (k Keepalive) withDefaults() Keepalive {
	if k.Time == 0 {
		k.Time = defaultKeepalive
	}
	if k.Timeout <= 0 {
		k.Timeout = defaultKeepalive
	}
	return k
}

var labelRule = regexp.MustCompile(`^[A-Za-z0-9_.:/-]{1,63}$`)

// check finds contradictions that concern no single server.
func (o *Options) check() error {
	asksForTLS := o.TLS || o.CAFile != "" || o.CertFile != "" || o.KeyFile != ""
	switch {
	case o.Plaintext && asksForTLS:
		return errors.New("keyward: Plaintext does not go with TLS, CAFile, CertFile or KeyFile")
	case (o.CertFile == "") != (o.KeyFile == ""):
		return errors.New("keyward: CertFile and KeyFile must be given together")
	case o.Timeout < 0:
		return errors.New("keyward: Timeout must not be negative")
	case o.Label != "" && !labelRule.MatchString(o.Label):
		return errors.New("keyward: Label must be 1 to 63 characters of [A-Za-z0-9_.:/-]")
	}
	return nil
}

// usesTLS tells whether the connection to a server is encrypted.
func (o *Options) usesTLS(server string) bool {
	return o.TLS || o.CAFile != "" || o.CertFile != "" || (!o.Plaintext && !isLoopback(server))
}

// tlsConfig reads the files that it names.
func (o *Options) tlsConfig() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.CAFile != "" {
		pem, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, fmt.Errorf("keyward: CAFile: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("keyward: CAFile: %s holds no certificate", o.CAFile)
		}
	}
	if o.CertFile != "" {
		own, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("keyward: CertFile and KeyFile: %w", err)
		}
		config.Certificates = []tls.Certificate{own}
	}
	return config, nil
}

func (o *Options) checkServer(server string) error {
	if !hasPort(server) {
		return fmt.Errorf("keyward: the server %q has no port: give <host>:<port>, for example %s:50051", server, server)
	}
	if o.Proxy && isLoopback(server) {
		return fmt.Errorf("keyward: no proxy leads to %s, which is this machine", server)
	}
	if o.Proxy && !o.usesTLS(server) {
		return errors.New("keyward: a proxy would see what is sent in plaintext: use TLS with it")
	}
	return nil
}

// isLoopback tells whether a server's address certainly stays on this machine: a Unix socket, `localhost` or a loopback
// address. What it does not know is not, such as a name that only begins like one.
func isLoopback(server string) bool {
	if strings.HasPrefix(server, "unix:") {
		return true
	}
	host, _, err := net.SplitHostPort(server)
	if err != nil {
		return false
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.IsLoopback()
}

var portRule = regexp.MustCompile(`^[0-9]+$`)

// hasPort tells whether an address names a port; without one gRPC takes 443, where no Keyward is.
func hasPort(server string) bool {
	if strings.HasPrefix(server, "unix:") {
		return true
	}
	host, port, err := net.SplitHostPort(server)
	return err == nil && host != "" && portRule.MatchString(port)
}
