// SPDX-License-Identifier: Apache-2.0
//
// What changes often, in SQLite: when a model was last used, and what jobs there are. Losing it
// loses no model, so a database that is damaged is put aside and begun anew.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "store/store.h"

struct sqlite3;

namespace omg {

/// Thread-safe, and safe beside other processes (each statement waits up to 5 s for them). Methods
/// throw Error: kOutOfMemory for a full disk, kCorrupt, kUnavailable for a lock held too long, kIo.
class StoreState {
 public:
  explicit StoreState(const std::string& path);
  ~StoreState();

  void set_last_used(const std::string& key, int64_t when);
  std::optional<int64_t> last_used(const std::string& key);
  std::map<std::string, int64_t> all_last_used();
  void forget(const std::string& key);

  void put_job(const JobRecord& job);
  std::vector<JobRecord> jobs();
  void remove_job(const std::string& id);

 private:
  class Statement;
  struct Close {
    void operator()(sqlite3* database) const;
  };
  void open(const std::string& path);
  void execute(const char* sql);
  [[noreturn]] void fail(const std::string& what);

  std::mutex mutex_;
  std::unique_ptr<sqlite3, Close> database_;
  std::string path_;
};

}  // namespace omg
