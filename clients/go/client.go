package keyward

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"

	accountv1 "keyward.dev/keyward/gen/keyward/account/v1"
	auditv1 "keyward.dev/keyward/gen/keyward/audit/v1"
	coherencev1 "keyward.dev/keyward/gen/keyward/coherence/v1"
	manifestv1 "keyward.dev/keyward/gen/keyward/manifest/v1"
	secretv1 "keyward.dev/keyward/gen/keyward/secret/v1"
	smarterv1 "keyward.dev/keyward/gen/keyward/smarter/v1"
	tokenv1 "keyward.dev/keyward/gen/keyward/token/v1"
)

// Client calls the services of Keyward. It may be used by many goroutines at the same time; make one for a process. The
// errors of its calls are of type *Error.
type Client struct {
	Tokens    tokenv1.TokenServiceClient
	Secrets   secretv1.SecretServiceClient
	Accounts  accountv1.AccountServiceClient
	Audit     auditv1.AuditServiceClient
	Status    coherencev1.StatusServiceClient
	Manifests manifestv1.ManifestServiceClient
	Imports   smarterv1.ImportServiceClient

	transport *transport
	// ctx ends when the client is closed.
	ctx  context.Context
	stop context.CancelFunc

	mu      sync.Mutex
	holding *holding
	// hasValidator and hasReader are who uses the holding.
	hasValidator, hasReader bool
	isClosed                bool
}

// New makes a client. Connections are made with the first calls, and again whenever they are lost. It fails if the options
// contradict each other, or a file that they name cannot be read.
func New(options Options) (*Client, error) {
	if err := options.check(); err != nil {
		return nil, err
	}
	if len(options.Servers) == 0 {
		options.Servers = []string{DefaultServer}
	}
	if options.Label == "" {
		options.Label = "go"
	}
	transport, err := newTransport(options)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	return &Client{
		ctx:       ctx,
		stop:      stop,
		Tokens:    tokenv1.NewTokenServiceClient(transport),
		Secrets:   secretv1.NewSecretServiceClient(transport),
		Accounts:  accountv1.NewAccountServiceClient(transport),
		Audit:     auditv1.NewAuditServiceClient(transport),
		Status:    coherencev1.NewStatusServiceClient(transport),
		Manifests: manifestv1.NewManifestServiceClient(transport),
		Imports:   smarterv1.NewImportServiceClient(transport),
		transport: transport,
	}, nil
}

// Dial is New, and waits until a server answers: until the context has ended, or Options.Timeout, and 10 seconds at most if
// neither says. A program that shall start without the service takes New.
func Dial(ctx context.Context, options Options) (*Client, error) {
	client, err := New(options)
	if err != nil {
		return nil, err
	}
	request := &grpc_health_v1.HealthCheckRequest{}
	if _, err := grpc_health_v1.NewHealthClient(client.transport).Check(ctx, request); err != nil {
		return nil, errors.Join(fmt.Errorf("keyward: no server answers: %w", err), client.Close())
	}
	return client, nil
}

// Close ends all connections, and with them every call, validator and reader of the client. It takes a second at most.
func (c *Client) Close() error {
	c.mu.Lock()
	c.isClosed = true
	c.stop()
	held := c.holding
	c.holding = nil
	c.mu.Unlock()
	if held != nil {
		held.close()
	}
	return c.transport.close()
}

// Invoke makes a call by any generated client: Client is a grpc.ClientConnInterface.
func (c *Client) Invoke(ctx context.Context, method string, request, response any, options ...grpc.CallOption) error {
	return c.transport.Invoke(ctx, method, request, response, options...)
}

// NewStream opens a stream by any generated client.
func (c *Client) NewStream(
	ctx context.Context, desc *grpc.StreamDesc, method string, options ...grpc.CallOption,
) (grpc.ClientStream, error) {
	return c.transport.NewStream(ctx, desc, method, options...)
}

// hold gives the one holding of the client to one more who uses it.
func (c *Client) hold(isUsed *bool) (*holding, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.isClosed:
		return nil, errors.New("the client is closed")
	case *isUsed:
		return nil, errors.New("the client has one already; share it")
	}
	*isUsed = true
	if c.holding == nil {
		c.holding = newHolding(c.transport)
	}
	return c.holding, nil
}

// release takes the holding back, and closes it if nobody uses it any more.
func (c *Client) release(isUsed *bool, held *holding) {
	c.mu.Lock()
	if c.holding != held || !*isUsed {
		c.mu.Unlock()
		return
	}
	*isUsed = false
	isUnused := !c.hasValidator && !c.hasReader
	if isUnused {
		c.holding = nil
	}
	c.mu.Unlock()
	if isUnused {
		held.close()
	}
}
