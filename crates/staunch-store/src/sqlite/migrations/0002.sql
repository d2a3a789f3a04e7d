-- Accounts: users, their sessions and tokens, and who did what. Secrets stand here only as SHA-256 or as a slow hash.

-- Their totals. The sum of all rows below is bounded by these at every insert.
ALTER TABLE tally ADD COLUMN users INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tally ADD COLUMN sessions INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tally ADD COLUMN tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tally ADD COLUMN audit_rows INTEGER NOT NULL DEFAULT 0;

-- Users. Owner: an admin; bound: users_max. `folded` is the name in lower case (Unicode's, which NOCASE is not).
CREATE TABLE user (
    n INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL,
    folded TEXT NOT NULL UNIQUE,
    role INTEGER NOT NULL,
    disabled INTEGER NOT NULL,
    password TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    password_changed_at INTEGER NOT NULL
) STRICT;
CREATE INDEX user_by_role ON user (role, disabled);

-- The way to the first admin. One row at most. Owner: its expiry.
CREATE TABLE ticket (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    hash BLOB NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

-- Sessions. Owner: the user; bound: sessions_max, sessions_per_user_max. `expires_at` is the nearer of the idle end and of `ends_at`.
CREATE TABLE session (
    key BLOB PRIMARY KEY,
    handle BLOB NOT NULL,
    user INTEGER NOT NULL REFERENCES user (n),
    created_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    idle_ms INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    label TEXT NOT NULL,
    address TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX session_by_user ON session (user, handle);
CREATE INDEX session_by_expiry ON session (expires_at);

-- API tokens. Owner: the user; bound: tokens_per_user_max of each.
CREATE TABLE token (
    id BLOB PRIMARY KEY,
    user INTEGER NOT NULL REFERENCES user (n),
    name TEXT NOT NULL,
    shown TEXT NOT NULL,
    hash BLOB NOT NULL UNIQUE,
    scope INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    last_used_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX token_by_user ON token (user, id);
CREATE INDEX token_by_expiry ON token (expires_at) WHERE expires_at IS NOT NULL;

-- Who did what. Bound: audit_rows_max, the oldest go at insert. It outlives the user, so `user` is an id and refers to nothing.
CREATE TABLE audit (
    n INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    user BLOB,
    name TEXT NOT NULL,
    address TEXT NOT NULL,
    via INTEGER NOT NULL,
    action TEXT NOT NULL,
    about TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;
CREATE INDEX audit_by_action ON audit (action);
CREATE INDEX audit_by_user ON audit (user) WHERE user IS NOT NULL;
CREATE INDEX audit_by_user_action ON audit (user, action) WHERE user IS NOT NULL;
