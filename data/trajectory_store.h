/// Every workflow ever sampled, in one SQLite file: the memory that search, SFT, GRPO's warm start
/// and the server's pool share.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"

namespace weft {

struct Trajectory {
  int64_t id = 0;      ///< given by the store; 0 before
  int64_t parent = 0;  ///< the workflow this one was made from; 0: none
  std::string task_id;
  std::string origin;  ///< "scripted", "teacher:NAME", "model:DIR": who wrote it
  std::string kind;    ///< what the writer calls this sort of workflow, if anything
  std::string prompt;
  std::string reasoning;
  std::string code;
  int num_steps = 0;
  bool valid = false;  ///< passed the static check
  /// scored, workflow_error, limit, infrastructure; of one that serve wrote also answered (it ran,
  /// nothing scored its answer) and written (it did not run)
  std::string outcome;
  double pass_rate = 0;
  double complexity = 0;
  double diversity = 0;
  double reward = 0;
  Json usage;
  uint64_t seed = 0;
  std::string model_version;
  int round = 0;
};

/// Whether `reward` says something of the workflow: not where no run of it was scored.
bool has_reward(const Trajectory& trajectory);

/// Id of row number `place` of a round of a search: it tells where in its search a row stands, not
/// when it was stored, and grows with both. `search` is a hash that names the search; 37 bits of it
/// count. Ids that a store gives by itself are smaller than any of these.
int64_t place_id(uint64_t search, int64_t round, int64_t place);

/// Of all rows and their order; ids, and so when they were stored, have no part in it.
uint64_t content_hash(const std::vector<Trajectory>& rows);

/// Which trajectories to read, all conditions together.
struct TrajectoryFilter {
  std::string task_id;  ///< empty: every task
  std::string origin;   ///< empty: every origin
  bool only_valid = false;
  std::optional<double> min_reward;  ///< a row without a reward (has_reward) has none
  int max_per_task = 0;              ///< the best by reward, the first of equals; 0: no limit
};

enum class StoreAccess {
  kReadWrite,  ///< opens the store, or makes one where there is no file or an empty one
  kRead,       ///< opens a store that is there; a write throws Error
};

/// Methods may be called from any thread. A write is durable when its call returns; a full disk
/// throws Error and leaves what was stored before.
class TrajectoryStore {
 public:
  /// Throws InputError when there is no file to read, and when it holds anything else than a store
  /// of this version; it is then left as it was.
  /// A write waits up to `lock_wait_ms` for another process that holds the store locked.
  explicit TrajectoryStore(const std::filesystem::path& path,
                           StoreAccess access = StoreAccess::kReadWrite, int lock_wait_ms = 10000);
  ~TrajectoryStore();

  /// Stores it under its id or, where that is taken, the next free one; without an id under a new
  /// one. Returns the id.
  int64_t insert(const Trajectory& trajectory);

  /// Stores several in one transaction: all or none.
  std::vector<int64_t> insert_all(const std::vector<Trajectory>& trajectories);

  /// Stores, in one transaction, those that are not there: a row of the same task, round, seed,
  /// origin, reasoning and code is the same workflow. One without a reward gives its place, and its
  /// id, to one that has it.
  void insert_missing(const std::vector<Trajectory>& trajectories);

  /// Ordered by content, never by arrival: task, round, place in the search (place_id), parents
  /// before what was made from them; rows without a place by code, reasoning, then every other
  /// field, where the id tells only identical ones apart.
  std::vector<Trajectory> select(const TrajectoryFilter& filter = {}) const;

  int64_t count() const;

  /// Progress of a program, so that it can go on after an interruption.
  void put_state(const std::string& key, const Json& value);
  std::optional<Json> get_state(const std::string& key) const;

  /// Inserts trajectories and sets a progress key in one transaction, so that neither is there
  /// without the other. Returns the ids.
  std::vector<int64_t> commit(const std::vector<Trajectory>& trajectories, const std::string& key,
                              const Json& value);

 private:
  struct Database;
  std::unique_ptr<Database> database_;
};

}  // namespace weft
