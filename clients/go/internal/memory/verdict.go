package memory

import (
	"time"

	tokenv1 "keyward.dev/keyward/gen/keyward/token/v1"
)

// Reason is why a text may pass or not: a keyward.token.v1.VerdictReason without its prefix.
type Reason string

// The reasons that there are.
const (
	OK                Reason = "OK"
	Unknown           Reason = "UNKNOWN"
	Expired           Reason = "EXPIRED"
	OwnerInactive     Reason = "OWNER_INACTIVE"
	Inactive          Reason = "INACTIVE"
	AccountInactive   Reason = "ACCOUNT_INACTIVE"
	InsufficientScope Reason = "INSUFFICIENT_SCOPE"
)

// Principal is whom a token stands for.
type Principal struct {
	UserID        int64
	Username      string
	UserProfileID int64
	AccountID     int64
	AccountNumber string
	IsStaff       bool
	IsSuperuser   bool
}

// Verdict says whether a text may pass, and whose it is.
type Verdict struct {
	// Valid is true exactly if Reason is OK.
	Valid  bool
	Reason Reason
	// KeyID is that of every known token, refused or not; empty if UNKNOWN.
	KeyID string
	// Principal is whom the token stands for; only if Valid, as all below but Stale.
	Principal Principal
	Name      string
	// Scopes are shared with other verdicts, and must not be changed.
	Scopes []string
	// ExpiresAt is when this text will be refused; zero: never.
	ExpiresAt time.Time
	// Stale is true if a replica answered from memory because the database cannot be reached.
	Stale bool
}

// PrincipalOf reads a principal out of a message.
func PrincipalOf(message *tokenv1.Principal) Principal {
	return Principal{
		UserID:        message.GetUserId(),
		Username:      message.GetUsername(),
		UserProfileID: message.GetUserProfileId(),
		AccountID:     message.GetAccountId(),
		AccountNumber: message.GetAccountNumber(),
		IsStaff:       message.GetIsStaff(),
		IsSuperuser:   message.GetIsSuperuser(),
	}
}

// inactivity is why a known text does not pass whatever it is for; empty if it does. The first that applies counts.
func inactivity(fact *tokenv1.HoldFact) Reason {
	switch {
	case !fact.GetUserIsActive():
		return OwnerInactive
	case !fact.GetIsActive():
		return Inactive
	case !fact.GetAccountIsActive():
		return AccountInactive
	}
	return ""
}
