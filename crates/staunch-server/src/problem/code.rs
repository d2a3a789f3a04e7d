//! Every kind of problem there is, in one table: word, status, title and what to do. The manual is made from it.

use http::StatusCode;

macro_rules! codes {
    ($($name:ident = $word:literal, $status:ident, $title:literal, $help:literal;)+) => {
        /// A kind of problem. Its word is part of the API and never changes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Code { $(#[doc = $title] $name,)+ }

        impl Code {
            /// All of them, in the table's order.
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)+];

            /// The stable word.
            pub(crate) const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }

            /// The status it is answered with.
            pub(crate) const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)+ }
            }

            /// What it is, in words.
            pub(crate) const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)+ }
            }

            /// What a client can do about it.
            pub(crate) const fn help(self) -> &'static str {
                match self { $(Self::$name => $help,)+ }
            }
        }
    };
}

codes! {
    InvalidQuery = "invalid_query", BAD_REQUEST, "the query cannot be understood",
        "Look at the parameter that `detail` names. Unknown parameters are refused, because a misspelt one would silently do nothing.";
    InvalidId = "invalid_id", BAD_REQUEST, "this is not an id of the right kind",
        "A run's id is `run_` and 26 characters, as the API gave it out.";
    InvalidCursor = "invalid_cursor", BAD_REQUEST, "the cursor cannot be understood",
        "Cursors are opaque: send one back as it was given, to the same resource, or start without one.";
    InvalidTopics = "invalid_topics", BAD_REQUEST, "the topics cannot be understood",
        "A topic is `run:ID` or `log:ID:STEP`; several are parted by commas, each once, as many as `topics_per_stream_max`.";
    InvalidHeader = "invalid_header", BAD_REQUEST, "a header cannot be understood",
        "Look at the header that `detail` names.";
    InvalidBody = "invalid_body", BAD_REQUEST, "the body cannot be understood",
        "The place is in `errors`: malformed JSON, a value of the wrong type, or a key that does not exist.";
    MissingHost = "missing_host", BAD_REQUEST, "the request has no valid Host header",
        "Send exactly one Host header that names this server.";
    DuplicateCredentials = "duplicate_credentials", BAD_REQUEST, "the request says twice who calls",
        "Send one Authorization header, or one session cookie.";
    CsrfBodyUnreadable = "csrf_body_unreadable", BAD_REQUEST, "the body ended before its CSRF token was found",
        "Send the whole form.";
    Unauthenticated = "unauthenticated", UNAUTHORIZED, "nobody knows who calls",
        "Log in (`POST /api/v1/login`), or send `Authorization: Bearer` and an API token.";
    SessionExpired = "session_expired", UNAUTHORIZED, "the session is over",
        "Log in again. It was idle for too long, came to its end, or was ended elsewhere.";
    InvalidToken = "invalid_token", UNAUTHORIZED, "the API token is not valid",
        "It was mistyped or revoked, has expired, or its user is disabled. A cookie is not looked at when there is an Authorization header.";
    LoginFailed = "login_failed", UNAUTHORIZED, "the name or the password is wrong",
        "Which of the two is not said, nor whether the user is disabled.";
    Forbidden = "forbidden", FORBIDDEN, "the caller may not do this",
        "`detail` names the role it takes. An admin can give it; a token has the lesser of its scope and its user's role.";
    SetupRefused = "setup_refused", FORBIDDEN, "the set-up link is not good",
        "It is wrong, used, or too old, or there is an admin already. A restart of the server prints a new one while there is none.";
    PasswordNeeded = "password_needed", FORBIDDEN, "the password must be given again",
        "Send `current_password`.";
    WrongPassword = "wrong_password", FORBIDDEN, "the present password is wrong",
        "Try again: there are few tries an hour.";
    CsrfTokenMissing = "csrf_token_missing", FORBIDDEN, "the request has no CSRF token",
        "Send it in the header `x-csrf-token`, or as the field `csrf_token` of the form (the first one of a multipart form). `GET /api/v1/csrf` gives one.";
    CsrfTokenMalformed = "csrf_token_malformed", FORBIDDEN, "this is no CSRF token",
        "Send the 43 characters as they were given.";
    CsrfTokenExpired = "csrf_token_expired", FORBIDDEN, "the CSRF token is too old",
        "Fetch a new one and try once more.";
    CsrfTokenInvalid = "csrf_token_invalid", FORBIDDEN, "the CSRF token is none of this session",
        "Fetch a new one and try once more; reload the page if you have logged in, or the server was restarted, since it was opened.";
    CsrfTokenRepeated = "csrf_token_repeated", FORBIDDEN, "the form has more than one CSRF token",
        "Send the field once.";
    CsrfFormTooLarge = "csrf_form_too_large", FORBIDDEN, "the form is too large for its CSRF token to be looked for",
        "Send the token in the header `x-csrf-token`.";
    BadOrigin = "bad_origin", FORBIDDEN, "the request comes from an origin that is none of the server's",
        "If you see this on the server's own pages, set `public_url` to the address in the browser. Behind a proxy it must be set.";
    NullOrigin = "null_origin", FORBIDDEN, "the request hides its origin",
        "A page that is sandboxed, or sent with `Referrer-Policy: no-referrer`, cannot do this.";
    OriginMissing = "origin_missing", FORBIDDEN, "nothing says where the request comes from",
        "Send `Origin`, or authenticate by an API token.";
    DuplicateHeader = "duplicate_header", FORBIDDEN, "a header that must be there once is there twice",
        "Look at Origin, Sec-Fetch-Site, Host, Referer, Content-Type and x-csrf-token, and at proxies on the way.";
    CrossSite = "cross_site", FORBIDDEN, "the request comes from another site",
        "A browser sent it on behalf of a page of another origin. Open this server's own address, or call the API from a program.";
    NotFound = "not_found", NOT_FOUND, "there is nothing at this path",
        "The paths there are stand in `/api/v1/openapi.json`.";
    UnknownWorkflow = "unknown_workflow", NOT_FOUND, "there is no such workflow",
        "`GET /api/v1/workflows` lists them, with the files that have errors.";
    UnknownRun = "unknown_run", NOT_FOUND, "there is no such run",
        "It may have been removed by retention.";
    UnknownStep = "unknown_step", NOT_FOUND, "the run has no such step",
        "`GET /api/v1/runs/{id}` lists its steps.";
    UnknownAttempt = "unknown_attempt", NOT_FOUND, "the step has no such attempt",
        "`GET /api/v1/runs/{id}` lists the attempts of each step.";
    UnknownUser = "unknown_user", NOT_FOUND, "there is no such user",
        "`GET /api/v1/users` lists them.";
    UnknownSession = "unknown_session", NOT_FOUND, "there is no such session",
        "It may be over already.";
    UnknownToken = "unknown_token", NOT_FOUND, "there is no such token",
        "It may have expired or been revoked already.";
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, "the method does not fit this path",
        "The Allow header names those that do.";
    BodyTimeout = "body_timeout", REQUEST_TIMEOUT, "the body took too long to arrive",
        "Send it faster: the whole body has 30 seconds.";
    RunOver = "run_over", CONFLICT, "the run is over already",
        "Nothing is left to cancel.";
    RunNotOver = "run_not_over", CONFLICT, "the run is not over yet",
        "Wait for its end, or cancel it first.";
    NoSession = "no_session", CONFLICT, "the caller has no session",
        "This is about a session or a user of its own, and the caller is known by a token, or by being on the same machine.";
    UserExists = "user_exists", CONFLICT, "somebody has this name",
        "Names that differ in case only are the same.";
    LastAdmin = "last_admin", CONFLICT, "no admin would be left",
        "Make another user an admin first.";
    AdminFirst = "admin_first", CONFLICT, "the first user is an admin",
        "While there is no admin everybody on this machine is one; make one first, then others.";
    TokensFull = "tokens_full", CONFLICT, "the user has as many tokens as one may have",
        "Revoke one that is not used any more.";
    BodyTooLarge = "body_too_large", PAYLOAD_TOO_LARGE, "the body is too large",
        "The limit stands in `detail`.";
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "the body is of the wrong type",
        "Send `Content-Type: application/json`; a workflow's text goes as `application/yaml`.";
    UnknownHost = "unknown_host", MISDIRECTED_REQUEST, "the Host header does not name this server",
        "Use localhost or an IP address, or configure the name. This keeps pages of other sites from reaching the server by DNS rebinding.";
    InvalidInputs = "invalid_inputs", UNPROCESSABLE_ENTITY, "the inputs do not fit the workflow",
        "Each input at fault is in `errors`, by pointer.";
    InvalidWorkflow = "invalid_workflow", UNPROCESSABLE_ENTITY, "the workflow has errors",
        "Each is in `errors`, with line and column.";
    KeyReused = "idempotency_key_reused", UNPROCESSABLE_ENTITY, "the Idempotency-Key was used for another request",
        "Use a new key for a new request; repeat the same request to get the same answer.";
    InvalidName = "invalid_name", UNPROCESSABLE_ENTITY, "the name cannot be used",
        "1 to 64 of letters, digits, `.`, `_`, `@` and `-`, beginning with a letter or a digit.";
    InvalidPassword = "invalid_password", UNPROCESSABLE_ENTITY, "the password cannot be used",
        "12 to 256 bytes; any characters. Longer is better than stranger.";
    QuotaExceeded = "quota_exceeded", TOO_MANY_REQUESTS, "too many requests",
        "Ask again after `Retry-After` seconds. `RateLimit-Policy` says what holds here.";
    ProfileBusy = "profile_busy", TOO_MANY_REQUESTS, "a profile is taken already, or too many were",
        "Ask again after `Retry-After` seconds: one is taken at a time, and ten a minute.";
    CsrfCallerUnknown = "csrf_caller_unknown", INTERNAL_SERVER_ERROR, "the server does not know who calls",
        "A mistake of the server: its authentication must stand before its CSRF guard.";
    Internal = "internal", INTERNAL_SERVER_ERROR, "the server failed",
        "The server's log has the reason under the `request_id`.";
    OutcomeUnknown = "outcome_unknown", INTERNAL_SERVER_ERROR, "whether the request took effect is not known",
        "Read back, or repeat the request with the same Idempotency-Key.";
    NoProfile = "no_profile", NOT_IMPLEMENTED, "this build takes no heap profiles",
        "Build it for Linux with glibc, with its default features: the allocator that takes them is one of these.";
    Full = "full", SERVICE_UNAVAILABLE, "a limit of the server is reached",
        "Ask again after `Retry-After` seconds. `detail` names the limit.";
    Busy = "busy", SERVICE_UNAVAILABLE, "the server has no memory to spare for this body",
        "Ask again after `Retry-After` seconds.";
    MemoryPressure = "memory_pressure", SERVICE_UNAVAILABLE, "the server is short of memory",
        "Ask again after `Retry-After` seconds. Runs of a workflow are still accepted, and wait, unless it is worse than that.";
    StreamsFull = "streams_full", SERVICE_UNAVAILABLE, "too many event streams are open",
        "Close one (a browser needs one a tab, whatever it shows), or ask again after `Retry-After` seconds.";
    SessionsFull = "sessions_full", SERVICE_UNAVAILABLE, "there are as many sessions as there may be",
        "Log out elsewhere, or wait until one is over. `detail` says whether it is the user's own number or that of all.";
    UsersFull = "users_full", SERVICE_UNAVAILABLE, "there are as many users as there may be",
        "Delete one, or raise `users_max`.";
    PasswordsBusy = "passwords_busy", SERVICE_UNAVAILABLE, "too many passwords are being looked at",
        "Ask again after `Retry-After` seconds.";
    CsrfFormsFull = "csrf_forms_full", SERVICE_UNAVAILABLE, "too many forms are being read",
        "Try again, or send the token in the header `x-csrf-token`.";
    Stopping = "stopping", SERVICE_UNAVAILABLE, "the server is stopping",
        "Ask again after `Retry-After` seconds. Runs that were accepted go on after the restart.";
    TimedOut = "timed_out", SERVICE_UNAVAILABLE, "the server took too long",
        "Whether the request took effect is not known: repeat it with the same Idempotency-Key.";
    NoSpace = "no_space", INSUFFICIENT_STORAGE, "the disk has no room",
        "Nothing was accepted. Free some space or lower the retention limits.";
}

impl Code {
    /// Whether the request's body may still be on its way, so that the connection cannot be used again.
    pub(crate) const fn leaves_body_unread(self) -> bool {
        matches!(self, Self::BodyTimeout | Self::BodyTooLarge | Self::Busy)
    }

    /// The code of this word.
    pub(crate) fn of(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.word() == word)
    }
}
