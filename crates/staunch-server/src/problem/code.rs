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
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, "the method does not fit this path",
        "The Allow header names those that do.";
    BodyTimeout = "body_timeout", REQUEST_TIMEOUT, "the body took too long to arrive",
        "Send it faster: the whole body has 30 seconds.";
    RunOver = "run_over", CONFLICT, "the run is over already",
        "Nothing is left to cancel.";
    RunNotOver = "run_not_over", CONFLICT, "the run is not over yet",
        "Wait for its end, or cancel it first.";
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
    Internal = "internal", INTERNAL_SERVER_ERROR, "the server failed",
        "The server's log has the reason under the `request_id`.";
    OutcomeUnknown = "outcome_unknown", INTERNAL_SERVER_ERROR, "whether the request took effect is not known",
        "Read back, or repeat the request with the same Idempotency-Key.";
    Full = "full", SERVICE_UNAVAILABLE, "a limit of the server is reached",
        "Ask again after `Retry-After` seconds. `detail` names the limit.";
    Busy = "busy", SERVICE_UNAVAILABLE, "the server has no memory to spare for this body",
        "Ask again after `Retry-After` seconds.";
    StreamsFull = "streams_full", SERVICE_UNAVAILABLE, "too many event streams are open",
        "Close one (a browser needs one a tab, whatever it shows), or ask again after `Retry-After` seconds.";
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
