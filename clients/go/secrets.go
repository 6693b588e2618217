package keyward

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	secretv1 "keyward.dev/keyward/gen/keyward/secret/v1"
	"keyward.dev/keyward/internal/clocks"
	"keyward.dev/keyward/internal/memory"
)

const (
	// accessLimit is how long a value may take to come by the stream before it is asked for by a call.
	accessLimit       = 2 * time.Second
	defaultMaxSecrets = 100
	mostSecrets       = 1_000
	// maxAsked: more questions at a time are asked by calls of their own.
	maxAsked = 100
	// maxReadWait is the longest wait before a value is read again that is not held.
	maxReadWait = 30 * time.Second
)

// passing are codes with which it is not known whether there is a value.
var passing = []codes.Code{
	codes.Unavailable, codes.DeadlineExceeded, codes.ResourceExhausted, codes.Internal, codes.Unauthenticated,
}

// SecretName names a secret: use OwnSecret, AccountSecret or SecretLocator, or any selector of the service.
type SecretName = *secretv1.SecretSelector

// OwnSecret is the caller's own secret of a name.
func OwnSecret(name string) SecretName {
	return ownedSecret(&secretv1.OwnedSecretName{Name: name})
}

// AccountSecret is the secret of a name in an account, by its number: the caller's own or that of one of its staff.
func AccountSecret(accountNumber, name string) SecretName {
	return ownedSecret(&secretv1.OwnedSecretName{
		Owner: &secretv1.OwnedSecretName_AccountNumber{AccountNumber: accountNumber},
		Name:  name,
	})
}

// SecretLocator is the secret of a record locator.
func SecretLocator(locator string) SecretName {
	return &secretv1.SecretSelector{Selector: &secretv1.SecretSelector_RecordLocator{RecordLocator: locator}}
}

func ownedSecret(name *secretv1.OwnedSecretName) SecretName {
	return &secretv1.SecretSelector{Selector: &secretv1.SecretSelector_OwnedName{OwnedName: name}}
}

// Secret is a value. Printing it prints nothing of it.
type Secret struct {
	ID int64
	// Version is which one it is, from 1.
	Version int32
	value   []byte
}

// Text is the value as text.
func (s Secret) Text() string { return string(s.value) }

// Bytes are a copy of the value.
func (s Secret) Bytes() []byte { return slices.Clone(s.value) }

// String tells which value it is, and not the value.
func (s Secret) String() string { return fmt.Sprintf("version %d of secret %d", s.Version, s.ID) }

// GoString is String.
func (s Secret) GoString() string { return s.String() }

// SecretReaderOptions are those of a reader. All of them may be left out.
type SecretReaderOptions struct {
	// Keep is whether values are kept in this process, under a lease. Otherwise each is fetched whenever it is asked for.
	Keep bool
	// MaxSecrets is how many values to keep at most: 1 to 1000, 100 if zero. The service may set a lower limit.
	MaxSecrets int
}

// SecretReader gives values of secrets. It may be used by many goroutines at the same time.
type SecretReader struct {
	client *Client
	// holding is nil where nothing is kept.
	holding *holding

	ctx        context.Context
	stop       context.CancelFunc
	goroutines sync.WaitGroup

	mu      sync.Mutex
	watched map[*watched]bool
}

// NewSecretReader makes a reader. The client's token needs the scope `keyward.secrets.access`, and with Keep
// `keyward.tokens.cache` besides. A client has one reader that keeps values at a time.
func NewSecretReader(client *Client, options SecretReaderOptions) (*SecretReader, error) {
	if options.MaxSecrets == 0 {
		options.MaxSecrets = defaultMaxSecrets
	}
	if options.MaxSecrets < 1 || options.MaxSecrets > mostSecrets {
		return nil, fmt.Errorf("keyward: MaxSecrets must be 1 to %d", mostSecrets)
	}
	r := &SecretReader{client: client, watched: map[*watched]bool{}}
	r.ctx, r.stop = context.WithCancel(client.ctx)
	if !options.Keep {
		return r, nil
	}
	held, err := client.hold(&client.hasReader)
	if err != nil {
		r.stop()
		return nil, fmt.Errorf("keyward: a reader that keeps values: %w", err)
	}
	r.holding = held
	held.mu.Lock()
	defer held.mu.Unlock()
	held.memory.Secrets.SetMax(options.MaxSecrets)
	held.onSecretsForgotten = r.readAgain
	held.onGranted = r.readUnderLease
	return r, nil
}

// Get gives a value. It fails as AccessSecret does, with an error of type *Error.
func (r *SecretReader) Get(ctx context.Context, name SecretName) (Secret, error) {
	if r.holding == nil {
		return r.call(ctx, name)
	}
	key, err := keyOf(name)
	if err != nil {
		return Secret{}, err
	}
	r.holding.mu.RLock()
	held := r.holding.memory.Secrets.Get(key, clocks.Now())
	r.holding.mu.RUnlock()
	if held != nil {
		return secretOf(held), nil
	}
	if ctx.Err() != nil {
		return Secret{}, ended(ctx)
	}
	accessed, err := r.ask(ctx, key, name)
	switch {
	case err != nil:
		return Secret{}, err
	case accessed.Value != nil:
		return secretOf(accessed.Value), nil
	case accessed.Error != nil && !slices.Contains(passing, codes.Code(accessed.Error.GetCode())):
		return Secret{}, errorOf(status.FromProto(accessed.Error))
	}
	return r.call(ctx, name)
}

// Close overwrites what is kept, and ends OnChange; one that is being told may go on for a moment. The client stays open.
func (r *SecretReader) Close() {
	r.stop()
	r.goroutines.Wait()
	if r.holding == nil {
		return
	}
	r.holding.mu.Lock()
	r.holding.onSecretsForgotten = nil
	r.holding.onGranted = nil
	r.holding.memory.Secrets.SetMax(0)
	r.holding.mu.Unlock()
	r.client.release(&r.client.hasReader, r.holding)
}

func (r *SecretReader) call(ctx context.Context, name SecretName) (Secret, error) {
	response, err := r.client.Secrets.AccessSecret(ctx, &secretv1.AccessSecretRequest{Secret: name})
	if err != nil {
		return Secret{}, err
	}
	return secretOf(memory.ValueOf(response)), nil
}

// ask asks by the stream; the answer is empty where the stream has none. It fails only if the context ends.
func (r *SecretReader) ask(ctx context.Context, key string, name SecretName) (memory.Accessed, error) {
	h := r.holding
	answered := make(chan memory.Accessed, 1)
	h.mu.Lock()
	s := h.session()
	if s == nil || h.memory.Secrets.Asking() >= maxAsked {
		h.mu.Unlock()
		return memory.Accessed{}, nil
	}
	settle := func(accessed memory.Accessed) { answered <- accessed }
	request := &secretv1.AccessSecretRequest{Secret: name}
	s.outbox.access(h.memory.Secrets.Access(s.number, key, request, clocks.Now(), settle))
	h.mu.Unlock()
	limit := time.NewTimer(accessLimit)
	defer limit.Stop()
	select {
	case accessed := <-answered:
		return accessed, nil
	case <-limit.C:
		return memory.Accessed{}, nil
	case <-ctx.Done():
		return memory.Accessed{}, ended(ctx)
	}
}

func keyOf(name SecretName) (string, error) {
	if name.GetSelector() == nil {
		return "", invalidRequest([]Violation{{Field: "secret", Rule: "must be given"}})
	}
	key, err := proto.MarshalOptions{Deterministic: true}.Marshal(name)
	if err != nil {
		return "", invalidRequest([]Violation{{Field: "secret", Rule: "must be UTF-8"}})
	}
	return string(key), nil
}

func secretOf(value *memory.Value) Secret {
	return Secret{ID: value.SecretID, Version: value.Version, value: value.Bytes}
}
