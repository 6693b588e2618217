package keyward

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/connectivity"

	secretv1 "keyward.dev/keyward/gen/keyward/secret/v1"
	tokenv1 "keyward.dev/keyward/gen/keyward/token/v1"
)

// site is two replicas, each with a way to it, and a client that may do everything.
type site struct {
	replicas [2]*replica
	ways     [2]*proxy
	admin    *Client
	token    string
	made     atomic.Int64
}

// validator opens one whose stream begins at a certain replica.
func (s *site) validator(t *testing.T, at int) *Validator {
	t.Helper()
	s.ways[1-at].refuse(true)
	client := openClient(t, Options{Token: s.token, Label: "go-test", Timeout: 10 * time.Second}, s.ways[0].address, s.ways[1].address)
	validator, err := NewValidator(client, ValidatorOptions{})
	if err != nil {
		t.Fatal(err)
	}
	eventuallyWithin(t, 30*time.Second, "a lease", validator.IsLeased)
	s.ways[1-at].refuse(false)
	for _, each := range client.transport.servers {
		each.conn.Connect()
		isReady := func() bool { return each.conn.GetState() == connectivity.Ready }
		eventually(t, "a connection", isReady)
	}
	return validator
}

// makeToken gives its selector and its plaintext.
func (s *site) makeToken(t *testing.T) (*tokenv1.TokenSelector, string) {
	t.Helper()
	name := fmt.Sprintf("go-%d", s.made.Add(1))
	response, err := s.admin.Tokens.CreateToken(t.Context(), &tokenv1.CreateTokenRequest{Name: name, Scopes: []string{"orders:*"}})
	if err != nil {
		t.Fatal(err)
	}
	return &tokenv1.TokenSelector{Selector: &tokenv1.TokenSelector_Id{Id: response.GetToken().GetId()}}, response.GetPlaintext()
}

// makeHeld gives a token that the validator holds. A fact may not be kept while the news of the token is on its way.
func (s *site) makeHeld(t *testing.T, validator *Validator) (*tokenv1.TokenSelector, string, ValidatorCounts) {
	t.Helper()
	token, text := s.makeToken(t)
	eventually(t, "a token that is held", func() bool {
		verdict, ok := validator.ValidateCached(text)
		if !ok {
			mustValidate(t, validator, text)
		}
		return verdict.Valid
	})
	// Whoever comes to another replica is told what was changed since its last lease: not that the token was made.
	var granted atomic.Int64
	validator.holding.mu.Lock()
	validator.holding.onGranted = func() { granted.Add(1) }
	validator.holding.mu.Unlock()
	eventually(t, "another lease", func() bool { return granted.Load() > 1 })
	return token, text, validator.Counts()
}

// wantMemoryAlone: nothing was asked of a replica since.
func wantMemoryAlone(t *testing.T, validator *Validator, since ValidatorCounts) {
	t.Helper()
	if counts := validator.Counts(); counts.LookUps != since.LookUps || counts.Calls != since.Calls {
		t.Fatalf("%+v, and before %+v", counts, since)
	}
}

func TestAgainstKeyward(t *testing.T) {
	dataDir := makeDataDir(t)
	s := &site{}
	for at := range s.replicas {
		s.replicas[at] = startReplica(t, dataDir)
		s.ways[at] = startProxy(t, s.replicas[at].address)
	}
	s.token = s.replicas[0].adminToken()
	s.admin = openClient(t, Options{Token: s.token, Timeout: 30 * time.Second}, s.replicas[0].address)

	t.Run("the first verdict, and then from memory", s.firstVerdict)
	t.Run("what is revoked is refused by all goroutines when the call returns", s.revocation)
	t.Run("a stream that is cut is followed by another, and memory goes on", s.cut)
	t.Run("a replica that falls silent is left within seconds", s.silence)
	t.Run("a replica that is stopped is left, and memory goes on", s.stopped)
	t.Run("a value that is rotated is told of, and given", s.rotation)
}

func (s *site) firstVerdict(t *testing.T) {
	validator := s.validator(t, 0)
	_, text, before := s.makeHeld(t, validator)
	asked := mustValidate(t, validator, text, "orders:read")
	if !asked.Valid || asked.Principal.Username != "admin" || !asked.ExpiresAt.IsZero() {
		t.Fatalf("got %+v", asked)
	}
	if held, ok := validator.ValidateCached(text, "orders:read"); !ok || held.KeyID != asked.KeyID {
		t.Fatalf("got %+v", held)
	}
	if verdict := mustValidate(t, validator, text, "users:read"); verdict.Reason != ReasonInsufficientScope {
		t.Fatalf("got %+v", verdict)
	}
	if verdict := mustValidate(t, validator, "no such token"); verdict.Reason != ReasonUnknown {
		t.Fatalf("got %+v", verdict)
	}
	if counts := validator.Counts(); counts.Memory != before.Memory+3 || counts.LookUps != before.LookUps+1 {
		t.Fatalf("%+v, and before %+v", counts, before)
	}
}

// revocation switches a token off and on again while many goroutines ask, at either replica.
func (s *site) revocation(t *testing.T) {
	const rounds = 15
	validators := []*Validator{s.validator(t, 0), s.validator(t, 1)}
	token, text := s.makeToken(t)
	// inForce is what every question that begins now must be answered; nil while it is being changed.
	var inForce atomic.Pointer[Reason]
	active := ReasonOK
	inForce.Store(&active)
	ctx, stop := context.WithCancel(t.Context())
	var asking sync.WaitGroup
	var asked atomic.Int64
	for number := range 16 {
		validator := validators[number%2]
		bound := validator.Bind(text)
		asking.Go(func() {
			for ctx.Err() == nil {
				want := inForce.Load()
				verdict, ok := bound.ValidateCached()
				if number%4 < 2 {
					verdict, ok = validator.ValidateCached(text)
				}
				if !ok {
					var err error
					if verdict, err = validator.Validate(ctx, text); err != nil {
						continue
					}
				}
				if asked.Add(1)%20 == 0 {
					// Who leaves the process no time is slow to acknowledge, and gets no lease.
					time.Sleep(5 * time.Millisecond)
				}
				if want != nil && want == inForce.Load() && verdict.Reason != *want {
					t.Errorf("goroutine %d was told %s, and %s was in force", number, verdict.Reason, *want)
					return
				}
			}
		})
	}
	clients := int32(0)
	for range rounds {
		inForce.Store(nil)
		off, err := s.admin.Tokens.DeactivateToken(t.Context(), &tokenv1.DeactivateTokenRequest{Selector: token})
		if err != nil || !off.GetPropagation().GetComplete() {
			t.Errorf("%v, %v", off.GetPropagation(), err)
			break
		}
		clients += off.GetPropagation().GetClientsAcknowledged()
		inactive := ReasonInactive
		inForce.Store(&inactive)
		waitForQuestions(t, &asked)
		inForce.Store(nil)
		on, err := s.admin.Tokens.ActivateToken(t.Context(), &tokenv1.ActivateTokenRequest{Selector: token})
		if err != nil || !on.GetPropagation().GetComplete() {
			t.Errorf("%v, %v", on.GetPropagation(), err)
			break
		}
		active := ReasonOK
		inForce.Store(&active)
		waitForQuestions(t, &asked)
	}
	stop()
	asking.Wait()
	counts := validators[0].Counts()
	t.Logf("%d answers, %d acknowledgements of clients, at the first validator: %+v", asked.Load(), clients, counts)
	// On a busy machine a client may be slow to acknowledge, and then gets no lease for a while.
	if clients == 0 || counts.Memory == 0 {
		t.Error("memory was not asked")
	}
}

func waitForQuestions(t *testing.T, asked *atomic.Int64) {
	t.Helper()
	enough := asked.Load() + 1_000
	eventuallyWithin(t, 30*time.Second, "questions", func() bool { return asked.Load() > enough || t.Failed() })
}

func (s *site) cut(t *testing.T) {
	validator := s.validator(t, 0)
	_, text, before := s.makeHeld(t, validator)
	for range 3 {
		for _, way := range s.ways {
			way.cut()
		}
		s.stays(t, validator, text, time.Second)
	}
	wantMemoryAlone(t, validator, before)
}

// stays asks memory for a while: it must answer all the time, and have a stream again in the end.
func (s *site) stays(t *testing.T, validator *Validator, text string, span time.Duration) {
	t.Helper()
	for end := time.Now().Add(span); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if verdict, ok := validator.ValidateCached(text); !ok || !verdict.Valid {
			t.Fatalf("memory says %v, %+v", ok, verdict)
		}
	}
	eventually(t, "a stream", func() bool {
		validator.holding.mu.RLock()
		defer validator.holding.mu.RUnlock()
		return validator.holding.session() != nil
	})
}

func (s *site) silence(t *testing.T) {
	validator := s.validator(t, 0)
	token, text, _ := s.makeHeld(t, validator)
	s.ways[0].silence(true)
	began := time.Now()
	if !mustValidate(t, validator, text).Valid {
		t.Fatal("it does not pass")
	}
	for longest := time.Duration(0); ; {
		asked := time.Now()
		_, err := validator.Validate(t.Context(), text)
		if err != nil {
			t.Fatal(err)
		}
		longest = max(longest, time.Since(asked))
		validator.holding.mu.RLock()
		s := validator.holding.session()
		isThere := s != nil && time.Since(began) > 3*time.Second
		validator.holding.mu.RUnlock()
		if isThere {
			t.Logf("memory again after %v; the longest question took %v", time.Since(began), longest)
			break
		}
		if time.Since(began) > 9*time.Second {
			t.Fatal("it has no lease of the other replica")
		}
		time.Sleep(5 * time.Millisecond)
	}
	off, err := s.admin.Tokens.DeactivateToken(t.Context(), &tokenv1.DeactivateTokenRequest{Selector: token})
	if err != nil || !off.GetPropagation().GetComplete() {
		t.Fatal(off, err)
	}
	if verdict := mustValidate(t, validator, text); verdict.Reason != ReasonInactive {
		t.Fatalf("got %+v", verdict)
	}
	s.ways[0].silence(false)
	s.ways[0].cut()
}

func (s *site) stopped(t *testing.T) {
	validator := s.validator(t, 1)
	token, text, before := s.makeHeld(t, validator)
	s.replicas[1].stop()
	s.stays(t, validator, text, time.Second)
	s.replicas[1].start()
	wantMemoryAlone(t, validator, before)
	off, err := s.admin.Tokens.RevokeToken(t.Context(), &tokenv1.RevokeTokenRequest{Selector: token})
	if err != nil || !off.GetPropagation().GetComplete() {
		t.Fatal(off, err)
	}
	if verdict := mustValidate(t, validator, text); verdict.Reason != ReasonUnknown {
		t.Fatalf("got %+v", verdict)
	}
}

func (s *site) rotation(t *testing.T) {
	client := openClient(t, Options{Token: s.token, Timeout: 10 * time.Second}, s.replicas[0].address, s.replicas[1].address)
	reader, err := NewSecretReader(client, SecretReaderOptions{Keep: true})
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	name := OwnSecret("go-password")
	text := func(value string) *secretv1.SecretPayload {
		return &secretv1.SecretPayload{Value: &secretv1.SecretPayload_Text{Text: value}}
	}
	_, err = s.admin.Secrets.CreateSecret(t.Context(), &secretv1.CreateSecretRequest{Name: "go-password", Payload: text("first")})
	if err != nil {
		t.Fatal(err)
	}
	var told heard
	if _, err := reader.OnChange(name, told.hear); err != nil {
		t.Fatal(err)
	}
	told.wait(t, "first")
	_, err = s.admin.Secrets.AddSecretVersion(t.Context(), &secretv1.AddSecretVersionRequest{Selector: name, Payload: text("second")})
	if err != nil {
		t.Fatal(err)
	}
	told.wait(t, "first", "second")
	off, err := s.admin.Secrets.DisableSecretVersion(t.Context(), &secretv1.DisableSecretVersionRequest{Selector: name, Version: 2})
	if err != nil || !off.GetPropagation().GetComplete() {
		t.Fatal(off, err)
	}
	secret, err := reader.Get(t.Context(), name)
	if err != nil || secret.Text() != "first" {
		t.Fatalf("%v, %v", secret, err)
	}
	told.wait(t, "first", "second", "first")
}
