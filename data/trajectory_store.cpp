#include "data/trajectory_store.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <numeric>
#include <tuple>

#include "base/error.h"
#include "base/hash.h"

namespace weft {
namespace {

constexpr int kSchemaVersion = 1;
constexpr const char* kSchema = R"(
CREATE TABLE trajectories (
  id INTEGER PRIMARY KEY, parent INTEGER NOT NULL, task_id TEXT NOT NULL, origin TEXT NOT NULL,
  kind TEXT NOT NULL, prompt TEXT NOT NULL, reasoning TEXT NOT NULL, code TEXT NOT NULL,
  num_steps INTEGER NOT NULL, valid INTEGER NOT NULL, outcome TEXT NOT NULL,
  pass_rate REAL NOT NULL, complexity REAL NOT NULL, diversity REAL NOT NULL, reward REAL NOT NULL,
  usage TEXT NOT NULL, seed TEXT NOT NULL, model_version TEXT NOT NULL, round INTEGER NOT NULL,
  created_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP);
CREATE INDEX trajectories_by_task ON trajectories (task_id, reward);
CREATE TABLE state (key TEXT PRIMARY KEY, value TEXT NOT NULL);
PRAGMA user_version = 1;
)";
constexpr int64_t kFirstPlaced = int64_t{1} << 26;  // the least place_id
constexpr const char* kContentOrder =
    " ORDER BY task_id, round, CASE WHEN id < 67108864 THEN 0 ELSE id END, code, reasoning, "
    "origin, kind, prompt, reward DESC, num_steps, "
    "valid, "
    "outcome, pass_rate, complexity, diversity, usage, seed, model_version, parent, id";
constexpr const char* kColumns =
    "parent, task_id, origin, kind, prompt, reasoning, code, num_steps, valid, outcome, pass_rate, "
    "complexity, diversity, reward, usage, seed, model_version, round";

}  // namespace

struct TrajectoryStore::Database {
  sqlite3* handle = nullptr;
  std::string path;
  mutable std::mutex mutex;

  ~Database() { sqlite3_close(handle); }

  [[noreturn]] void fail() const { throw Error(path + ": " + sqlite3_errmsg(handle)); }

  void execute(const char* sql) const {
    if (sqlite3_exec(handle, sql, nullptr, nullptr, nullptr) != SQLITE_OK) fail();
  }
};

namespace {

/// A prepared statement bound and read left to right.
class Statement {
 public:
  Statement(sqlite3* handle, const std::string& sql, const std::string& path)
      : handle_(handle), path_(path) {
    if (sqlite3_prepare_v2(handle, sql.c_str(), -1, &statement_, nullptr) != SQLITE_OK) fail();
  }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  Statement& bind(const std::string& text) {
    sqlite3_bind_text(statement_, ++bound_, text.data(), static_cast<int>(text.size()),
                      SQLITE_TRANSIENT);
    return *this;
  }
  Statement& bind(int64_t value) {
    sqlite3_bind_int64(statement_, ++bound_, value);
    return *this;
  }
  Statement& bind(double value) {
    sqlite3_bind_double(statement_, ++bound_, value);
    return *this;
  }

  bool step() {
    const int code = sqlite3_step(statement_);
    if (code != SQLITE_ROW && code != SQLITE_DONE) fail();
    read_ = 0;
    return code == SQLITE_ROW;
  }

  std::string text() {
    const int column = read_++;
    const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_, column));
    return bytes ? std::string(bytes, static_cast<size_t>(sqlite3_column_bytes(statement_, column)))
                 : "";
  }
  int64_t integer() { return sqlite3_column_int64(statement_, read_++); }
  double real() { return sqlite3_column_double(statement_, read_++); }

 private:
  [[noreturn]] void fail() const { throw Error(path_ + ": " + sqlite3_errmsg(handle_)); }

  sqlite3* handle_;
  const std::string& path_;
  sqlite3_stmt* statement_ = nullptr;
  int bound_ = 0;
  int read_ = 0;
};

/// Rolls back unless committed.
class Transaction {
 public:
  explicit Transaction(sqlite3* handle, const std::string& path) : handle_(handle), path_(path) {
    run("BEGIN IMMEDIATE");
  }
  ~Transaction() {
    if (open_) sqlite3_exec(handle_, "ROLLBACK", nullptr, nullptr, nullptr);
  }
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void commit() {
    run("COMMIT");
    open_ = false;
  }

 private:
  void run(const char* sql) {
    if (sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) {
      throw Error(path_ + ": " + sqlite3_errmsg(handle_));
    }
  }
  sqlite3* handle_;
  const std::string& path_;
  bool open_ = true;
};

int64_t integer_of(sqlite3* handle, const std::string& path, const std::string& sql) {
  Statement query(handle, sql, path);
  query.step();
  return query.integer();
}

/// `wanted` or the next one that is not taken; 0: the one after the last.
int64_t free_id(sqlite3* handle, const std::string& path, int64_t wanted) {
  if (wanted == 0) {
    return integer_of(handle, path,
                      fmt::format("SELECT COALESCE(MAX(id), 0) + 1 FROM trajectories WHERE id < {}",
                                  kFirstPlaced));
  }
  while (integer_of(handle, path,
                    fmt::format("SELECT COUNT(*) FROM trajectories WHERE id = {}", wanted)) > 0) {
    ++wanted;
  }
  return wanted;
}

int64_t insert_row(sqlite3* handle, const std::string& path, const Trajectory& t) {
  Statement insert(handle,
                   fmt::format("INSERT INTO trajectories (id, {}) VALUES "
                               "(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                               kColumns),
                   path);
  insert.bind(free_id(handle, path, t.id));
  insert.bind(t.parent).bind(t.task_id).bind(t.origin).bind(t.kind).bind(t.prompt);
  insert.bind(t.reasoning).bind(t.code).bind(int64_t{t.num_steps}).bind(int64_t{t.valid});
  insert.bind(t.outcome).bind(t.pass_rate).bind(t.complexity).bind(t.diversity).bind(t.reward);
  insert.bind(dump_json(t.usage)).bind(std::to_string(t.seed)).bind(t.model_version);
  insert.bind(int64_t{t.round}).step();
  return sqlite3_last_insert_rowid(handle);
}

/// Where the store holds the same workflow, its row's id and whether it has a reward.
struct Match {
  int64_t id = 0;
  bool has_reward = false;
};

std::optional<Match> find_same(sqlite3* handle, const std::string& path, const Trajectory& t) {
  Statement query(handle,
                  "SELECT id, outcome FROM trajectories WHERE task_id = ? AND round = ? AND "
                  "seed = ? AND origin = ? AND reasoning = ? AND code = ? ORDER BY id",
                  path);
  query.bind(t.task_id).bind(int64_t{t.round}).bind(std::to_string(t.seed)).bind(t.origin);
  query.bind(t.reasoning).bind(t.code);
  if (!query.step()) return std::nullopt;
  Match match{query.integer()};
  Trajectory stored;
  stored.outcome = query.text();
  match.has_reward = has_reward(stored);
  return match;
}

Trajectory read_row(Statement& row) {
  Trajectory t;
  t.id = row.integer();
  t.parent = row.integer();
  t.task_id = row.text();
  t.origin = row.text();
  t.kind = row.text();
  t.prompt = row.text();
  t.reasoning = row.text();
  t.code = row.text();
  t.num_steps = static_cast<int>(row.integer());
  t.valid = row.integer() != 0;
  t.outcome = row.text();
  t.pass_rate = row.real();
  t.complexity = row.real();
  t.diversity = row.real();
  t.reward = row.real();
  t.usage = Json::parse(row.text());
  t.seed = std::stoull(row.text());
  t.model_version = row.text();
  t.round = static_cast<int>(row.integer());
  return t;
}

void set_state(sqlite3* handle, const std::string& path, const std::string& key,
               const Json& value) {
  Statement(handle, "INSERT OR REPLACE INTO state (key, value) VALUES (?, ?)", path)
      .bind(key)
      .bind(dump_json(value))
      .step();
}

/// False for a database without anything in it. Throws InputError for one of something else or of
/// another version.
bool holds_store(sqlite3* handle, const std::string& path) {
  int64_t version = 0, num_items = 0, num_tables = 0;
  try {
    version = integer_of(handle, path, "PRAGMA user_version");
    num_items = integer_of(handle, path, "SELECT COUNT(*) FROM sqlite_master");
    num_tables = integer_of(handle, path,
                            "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name IN "
                            "('trajectories', 'state')");
  } catch (const Error& error) {
    throw InputError(std::string("not a trajectory store: ") + error.what());
  }
  if (num_items == 0 && version == 0) return false;
  if (num_tables != 2) {
    throw InputError(path + ": expected a trajectory store, got an SQLite file of something else");
  }
  if (version != kSchemaVersion) {
    throw InputError(fmt::format("{}: trajectory store of version {}, expected {}", path, version,
                                 kSchemaVersion));
  }
  return true;
}

/// Puts each row behind the one it was made from, which is of its round or an earlier one.
void put_parents_first(std::vector<Trajectory>& rows) {
  std::map<int64_t, size_t> index_of;
  for (size_t i = 0; i < rows.size(); ++i) index_of[rows[i].id] = i;
  std::vector<size_t> order(rows.size()), depth(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    order[i] = i;
    for (auto at = index_of.find(rows[i].parent); at != index_of.end() && depth[i] < rows.size();
         at = index_of.find(rows[at->second].parent)) {
      ++depth[i];
    }
  }
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return std::tie(rows[a].task_id, rows[a].round, depth[a]) <
           std::tie(rows[b].task_id, rows[b].round, depth[b]);
  });
  std::vector<Trajectory> sorted;
  for (const size_t i : order) sorted.push_back(std::move(rows[i]));
  rows = std::move(sorted);
}

/// Keeps the best `limit` of each task, the first of equals, in the order of `rows`.
std::vector<Trajectory> best_of_each_task(std::vector<Trajectory> rows, int limit) {
  std::vector<size_t> order(rows.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return rows[a].reward > rows[b].reward; });
  std::map<std::string, int> taken;
  std::vector<bool> is_kept(rows.size());
  for (const size_t i : order) is_kept[i] = taken[rows[i].task_id]++ < limit;
  std::vector<Trajectory> kept;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (is_kept[i]) kept.push_back(std::move(rows[i]));
  }
  return kept;
}

}  // namespace

bool has_reward(const Trajectory& trajectory) {
  const std::string& outcome = trajectory.outcome;
  return outcome != "infrastructure" && outcome != "answered" && outcome != "written";
}

int64_t place_id(uint64_t search, int64_t round, int64_t place) {
  constexpr int kBits = 13;  // of round and of place; with 37 of the search they fill 63
  constexpr int64_t kLast = (1 << kBits) - 1;
  const auto name = static_cast<int64_t>(1 + (search >> 27) % ((uint64_t{1} << 37) - 1));
  return ((name << kBits | std::min(round, kLast)) << kBits) | std::min(place, kLast);
}

uint64_t content_hash(const std::vector<Trajectory>& rows) {
  uint64_t hash = 0;
  for (const Trajectory& t : rows) {
    const Json content = {t.task_id, t.origin,  t.kind,      t.prompt,    t.reasoning,    t.code,
                          t.valid,   t.outcome, t.pass_rate, t.diversity, t.complexity,   t.reward,
                          t.usage,   t.seed,    t.round,     t.num_steps, t.model_version};
    hash = hash_combine(hash, hash64(dump_json(content)));
  }
  return hash;
}

TrajectoryStore::TrajectoryStore(const std::filesystem::path& path, StoreAccess access,
                                 int lock_wait_ms)
    : database_(std::make_unique<Database>()) {
  database_->path = path.string();
  const bool reads = access == StoreAccess::kRead;
  if (reads && !std::filesystem::exists(path)) {
    throw InputError(path.string() + ": expected a trajectory store, found no such file");
  }
  // A reader opens for writing as well: it folds in the log that a killed writer has left.
  const int flags = SQLITE_OPEN_READWRITE | (reads ? 0 : SQLITE_OPEN_CREATE);
  if (sqlite3_open_v2(path.c_str(), &database_->handle, flags, nullptr) != SQLITE_OK) {
    throw InputError("cannot open the trajectory store " + path.string() + ": " +
                     sqlite3_errmsg(database_->handle));
  }
  sqlite3_busy_timeout(database_->handle, lock_wait_ms);
  const bool is_new = !holds_store(database_->handle, database_->path);
  if (reads && is_new) {
    throw InputError(path.string() + ": expected a trajectory store, got an empty file");
  }
  database_->execute(reads ? "PRAGMA query_only = ON;"
                           : "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;");
  if (!is_new) return;
  Transaction transaction(database_->handle, database_->path);
  database_->execute(kSchema);
  transaction.commit();
}

TrajectoryStore::~TrajectoryStore() = default;

int64_t TrajectoryStore::insert(const Trajectory& trajectory) {
  return insert_all({trajectory}).front();
}

std::vector<int64_t> TrajectoryStore::insert_all(const std::vector<Trajectory>& trajectories) {
  std::lock_guard lock(database_->mutex);
  Transaction transaction(database_->handle, database_->path);
  std::vector<int64_t> ids;
  for (const auto& t : trajectories) {
    ids.push_back(insert_row(database_->handle, database_->path, t));
  }
  transaction.commit();
  return ids;
}

void TrajectoryStore::insert_missing(const std::vector<Trajectory>& trajectories) {
  std::lock_guard lock(database_->mutex);
  sqlite3* handle = database_->handle;
  const std::string& path = database_->path;
  Transaction transaction(handle, path);
  for (const Trajectory& t : trajectories) {
    const auto same = find_same(handle, path, t);
    if (same && (same->has_reward || !has_reward(t))) continue;
    Trajectory row = t;
    if (same) {
      Statement(handle, "DELETE FROM trajectories WHERE id = ?", path).bind(same->id).step();
      row.id = same->id;
    }
    insert_row(handle, path, row);
  }
  transaction.commit();
}

std::vector<Trajectory> TrajectoryStore::select(const TrajectoryFilter& filter) const {
  std::string sql = fmt::format("SELECT id, {} FROM trajectories WHERE 1", kColumns);
  if (!filter.task_id.empty()) sql += " AND task_id = ?";
  if (!filter.origin.empty()) sql += " AND origin = ?";
  if (filter.only_valid) sql += " AND valid";
  if (filter.min_reward) {
    sql += " AND reward >= ? AND outcome NOT IN ('infrastructure', 'answered', 'written')";
  }
  std::lock_guard lock(database_->mutex);
  Statement query(database_->handle, sql + kContentOrder, database_->path);
  if (!filter.task_id.empty()) query.bind(filter.task_id);
  if (!filter.origin.empty()) query.bind(filter.origin);
  if (filter.min_reward) query.bind(*filter.min_reward);
  std::vector<Trajectory> rows;
  while (query.step()) rows.push_back(read_row(query));
  put_parents_first(rows);
  return filter.max_per_task > 0 ? best_of_each_task(std::move(rows), filter.max_per_task) : rows;
}

int64_t TrajectoryStore::count() const {
  std::lock_guard lock(database_->mutex);
  return integer_of(database_->handle, database_->path, "SELECT COUNT(*) FROM trajectories");
}

void TrajectoryStore::put_state(const std::string& key, const Json& value) {
  std::lock_guard lock(database_->mutex);
  set_state(database_->handle, database_->path, key, value);
}

std::optional<Json> TrajectoryStore::get_state(const std::string& key) const {
  std::lock_guard lock(database_->mutex);
  Statement query(database_->handle, "SELECT value FROM state WHERE key = ?", database_->path);
  query.bind(key);
  if (!query.step()) return std::nullopt;
  return Json::parse(query.text());
}

std::vector<int64_t> TrajectoryStore::commit(const std::vector<Trajectory>& trajectories,
                                             const std::string& key, const Json& value) {
  std::lock_guard lock(database_->mutex);
  Transaction transaction(database_->handle, database_->path);
  std::vector<int64_t> ids;
  for (const auto& t : trajectories) {
    ids.push_back(insert_row(database_->handle, database_->path, t));
  }
  set_state(database_->handle, database_->path, key, value);
  transaction.commit();
  return ids;
}

}  // namespace weft
