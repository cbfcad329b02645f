// SPDX-License-Identifier: Apache-2.0
#include "store/store_state.h"

#include <cstdio>
#include <sqlite3.h>

#include "base/error.h"

namespace omg {
namespace {

constexpr int kVersion = 1;
constexpr int kBusyMilliseconds = 5000;

constexpr const char* kSchema =
    "CREATE TABLE IF NOT EXISTS usage (key TEXT PRIMARY KEY, last_used INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS jobs (id TEXT PRIMARY KEY, kind TEXT NOT NULL,"
    " subject TEXT NOT NULL, state TEXT NOT NULL, detail TEXT NOT NULL,"
    " created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL);";

ErrorCode code_of(int result) {
  switch (result & 0xff) {
    case SQLITE_FULL:
    case SQLITE_NOMEM:
      return ErrorCode::kOutOfMemory;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return ErrorCode::kCorrupt;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return ErrorCode::kUnavailable;
    default:
      return ErrorCode::kIo;
  }
}

}  // namespace

void StoreState::Close::operator()(sqlite3* database) const {
  sqlite3_close_v2(database);
}

/// A prepared statement with its values bound in order.
class StoreState::Statement {
 public:
  Statement(StoreState& state, const char* sql) : state_(state) {
    if (sqlite3_prepare_v2(state.database_.get(), sql, -1, &statement_, nullptr) != SQLITE_OK) {
      state.fail("use");
    }
  }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  ~Statement() { sqlite3_finalize(statement_); }

  Statement& bind(const std::string& text) {
    check(sqlite3_bind_text(statement_, ++bound_, text.data(), static_cast<int>(text.size()),
                            SQLITE_TRANSIENT));
    return *this;
  }
  Statement& bind(int64_t number) {
    check(sqlite3_bind_int64(statement_, ++bound_, number));
    return *this;
  }
  /// True while there is a row.
  bool step() {
    const int result = sqlite3_step(statement_);
    if (result != SQLITE_ROW && result != SQLITE_DONE) state_.fail("use");
    return result == SQLITE_ROW;
  }
  std::string text(int column) {
    const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
    const auto size = static_cast<size_t>(sqlite3_column_bytes(statement_, column));
    return bytes == nullptr ? "" : std::string(bytes, size);
  }
  int64_t number(int column) { return sqlite3_column_int64(statement_, column); }

 private:
  void check(int result) {
    if (result != SQLITE_OK) state_.fail("use");
  }
  StoreState& state_;
  sqlite3_stmt* statement_ = nullptr;
  int bound_ = 0;
};

StoreState::StoreState(const std::string& path) : path_(path) {
  try {
    open(path);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kCorrupt) throw;
    database_.reset();
    const std::string aside = path + ".damaged";
    if (std::rename(path.c_str(), aside.c_str()) != 0) throw;
    std::remove((path + "-wal").c_str());
    std::remove((path + "-shm").c_str());
    open(path);
  }
}

StoreState::~StoreState() = default;

void StoreState::open(const std::string& path) {
  sqlite3* database = nullptr;
  const int result =
      sqlite3_open_v2(path.c_str(), &database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
  database_.reset(database);
  if (result != SQLITE_OK) fail("open");
  sqlite3_busy_timeout(database, kBusyMilliseconds);
  {
    Statement check(*this, "PRAGMA quick_check(1)");
    if (check.step() && check.text(0) != "ok") {
      throw Error(ErrorCode::kCorrupt, "cannot use " + path + ": " + check.text(0));
    }
  }
  // A commit costs no fsync of its own: last uses of the last moments may be lost with the power.
  execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;");
  Statement version(*this, "PRAGMA user_version");
  version.step();
  const int64_t found = version.number(0);
  if (found > kVersion) {
    throw Error(ErrorCode::kUnsupported,
                "cannot use " + path + ": a newer version has written it; update ohmygpu");
  }
  if (found == kVersion) return;
  execute(kSchema);
  execute("PRAGMA user_version = 1");
}

void StoreState::execute(const char* sql) {
  if (sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) fail("use");
}

void StoreState::fail(const std::string& what) {
  const int result = database_ ? sqlite3_extended_errcode(database_.get()) : SQLITE_NOMEM;
  const std::string why = database_ ? sqlite3_errmsg(database_.get()) : "no memory";
  throw Error(code_of(result), "cannot " + what + " " + path_ + ": " + why);
}

void StoreState::set_last_used(const std::string& key, int64_t when) {
  const std::lock_guard guard(mutex_);
  Statement(*this,
            "INSERT INTO usage VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET last_used = ?2")
      .bind(key)
      .bind(when)
      .step();
}

std::optional<int64_t> StoreState::last_used(const std::string& key) {
  const std::lock_guard guard(mutex_);
  Statement statement(*this, "SELECT last_used FROM usage WHERE key = ?1");
  statement.bind(key);
  if (!statement.step()) return std::nullopt;
  return statement.number(0);
}

std::map<std::string, int64_t> StoreState::all_last_used() {
  const std::lock_guard guard(mutex_);
  Statement statement(*this, "SELECT key, last_used FROM usage");
  std::map<std::string, int64_t> all;
  while (statement.step()) all[statement.text(0)] = statement.number(1);
  return all;
}

void StoreState::forget(const std::string& key) {
  const std::lock_guard guard(mutex_);
  Statement(*this, "DELETE FROM usage WHERE key = ?1").bind(key).step();
}

void StoreState::put_job(const JobRecord& job) {
  const std::lock_guard guard(mutex_);
  Statement(*this, "INSERT OR REPLACE INTO jobs VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")
      .bind(job.id)
      .bind(job.kind)
      .bind(job.subject)
      .bind(job.state)
      .bind(job.detail)
      .bind(job.created_at)
      .bind(job.updated_at)
      .step();
}

std::vector<JobRecord> StoreState::jobs() {
  const std::lock_guard guard(mutex_);
  Statement statement(*this,
                      "SELECT id, kind, subject, state, detail, created_at, updated_at FROM jobs"
                      " ORDER BY created_at DESC, id");
  std::vector<JobRecord> jobs;
  while (statement.step()) {
    jobs.push_back({statement.text(0), statement.text(1), statement.text(2), statement.text(3),
                    statement.text(4), statement.number(5), statement.number(6)});
  }
  return jobs;
}

void StoreState::remove_job(const std::string& id) {
  const std::lock_guard guard(mutex_);
  Statement(*this, "DELETE FROM jobs WHERE id = ?1").bind(id).step();
}

}  // namespace omg
