package keyward

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
)

// HTTPAuthOptions are those of a middleware. All of them may be left out.
type HTTPAuthOptions struct {
	// Scopes are those that every request needs.
	Scopes []string
	// Realm is that of challenges; `api` if empty.
	Realm string
}

// HTTPAuth makes a middleware for net/http. Requests with credentials that pass go on, and VerdictFrom tells from their
// context whose they are. Others are answered with 401 and `WWW-Authenticate` (RFC 6750), 403 for a missing scope, or 503 with
// `Retry-After` where nobody can tell.
//
// It panics if the scopes are none, as the program begins.
func HTTPAuth(validator *Validator, options HTTPAuthOptions) func(http.Handler) http.Handler {
	if err := checkScopes(options.Scopes); err != nil {
		panic(err)
	}
	if options.Realm == "" {
		options.Realm = "api"
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			decided, err := decide(r.Context(), validator, r.Header.Get("Authorization"), options.Scopes)
			switch {
			case err != nil:
				http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
			case decided.refusal == passes:
				next.ServeHTTP(w, r.WithContext(withVerdict(r.Context(), &decided.verdict)))
			default:
				options.refuse(w, decided)
			}
		})
	}
}

func (o *HTTPAuthOptions) refuse(w http.ResponseWriter, decided decision) {
	status, code := http.StatusUnauthorized, ""
	switch decided.refusal {
	case badCredentials:
		code = "invalid_token"
	case missingScope:
		status, code = http.StatusForbidden, "insufficient_scope"
	case undecided:
		status = http.StatusServiceUnavailable
	}
	if decided.refusal == undecided {
		w.Header().Set("Retry-After", strconv.Itoa(max(int(math.Ceil(decided.retryAfter.Seconds())), 1)))
	} else {
		w.Header().Set("WWW-Authenticate", o.challenge(code))
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	body := struct {
		Error   string `json:"error"`
		Message string `json:"message"`
	}{code, decided.refusal.message()}
	// Whoever has gone needs no answer.
	_ = json.NewEncoder(w).Encode(body)
}

func (o *HTTPAuthOptions) challenge(code string) string {
	challenge := fmt.Sprintf(`Bearer realm="%s"`, strings.NewReplacer(`"`, `\"`, `\`, `\\`).Replace(o.Realm))
	if code != "" {
		challenge += fmt.Sprintf(`, error="%s"`, code)
	}
	if code == "insufficient_scope" {
		challenge += fmt.Sprintf(`, scope="%s"`, strings.Join(o.Scopes, " "))
	}
	return challenge
}
