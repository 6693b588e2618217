package keyward

import (
	"context"
	"strings"

	tokenv1 "keyward.dev/keyward/gen/keyward/token/v1"
	"keyward.dev/keyward/internal/memory"
)

// Verdict says whether a text may pass, and whose it is.
type Verdict = memory.Verdict

// Principal is whom a token stands for.
type Principal = memory.Principal

// Reason is why a text may pass or not. The first that applies counts, in this order, and OK if none does.
type Reason = memory.Reason

// The reasons that there are.
const (
	ReasonUnknown           = memory.Unknown
	ReasonExpired           = memory.Expired
	ReasonOwnerInactive     = memory.OwnerInactive
	ReasonInactive          = memory.Inactive
	ReasonAccountInactive   = memory.AccountInactive
	ReasonInsufficientScope = memory.InsufficientScope
	ReasonOK                = memory.OK
)

const reasonPrefix = "VERDICT_REASON_"

// verdictOf reads the answer to a call.
func verdictOf(response *tokenv1.ValidateTokenResponse) Verdict {
	// A reason that this version does not know is one to refuse.
	reason, isKnown := strings.CutPrefix(response.GetReason().String(), reasonPrefix)
	if !isKnown {
		reason = string(ReasonUnknown)
	}
	verdict := Verdict{Valid: response.GetValid(), Reason: Reason(reason), KeyID: response.GetKeyId(), Stale: response.GetStale()}
	if !verdict.Valid {
		return verdict
	}
	verdict.Principal = memory.PrincipalOf(response.GetPrincipal())
	verdict.Name = response.GetName()
	verdict.Scopes = response.GetScopes()
	if response.GetExpiresAt() != nil {
		verdict.ExpiresAt = response.GetExpiresAt().AsTime()
	}
	return verdict
}

type verdictKey struct{}

// VerdictFrom gives the verdict on the request that a middleware or an interceptor let pass; false if none did.
func VerdictFrom(ctx context.Context) (Verdict, bool) {
	verdict, ok := ctx.Value(verdictKey{}).(*Verdict)
	if !ok {
		return Verdict{}, false
	}
	return *verdict, true
}

func withVerdict(ctx context.Context, verdict *Verdict) context.Context {
	return context.WithValue(ctx, verdictKey{}, verdict)
}
