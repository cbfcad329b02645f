// SPDX-License-Identifier: Apache-2.0
//
// Who may ask what, and how often. Without keys the machine's own users are trusted and nobody else
// can reach the daemon; with keys, each opens what its scopes name, at its own rate.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "base/log.h"
#include "daemon/access/api_keys.h"
#include "net/server/http_server.h"

namespace omg {

struct AccessOptions {
  std::string key_file;  // "": none
  /// Secrets from the environment or the configuration; each opens everything. Empty ones do not
  /// count.
  std::vector<std::string> extra_keys;
  /// Whether this machine's users need no key over TCP, though there are keys. A request that a
  /// proxy brings on (Forwarded, X-Forwarded-For) is not of this machine. The Unix socket needs
  /// none in any case: its file's mode says who may connect.
  bool loopback_open = true;
  /// Null: the machine's clocks.
  std::function<std::chrono::steady_clock::time_point()> steady_now;
  std::function<int64_t()> unix_now;
};

/// Thread-safe.
class AccessControl {
 public:
  /// Reads the keys; throws what ApiKeyFile::read() does. `files` must outlive it, and `log`, which
  /// may be null.
  AccessControl(FileSystem& files, AccessOptions options, const Log* log = nullptr);

  /// For HttpServerOptions::admit. Throws HttpRefusal: 401 with WWW-Authenticate, 403 where the key
  /// lacks the scope, 429 with Retry-After. A request counts as under way until its cancellation is
  /// raised, which the server does at its end. Looks for changed keys once a second.
  void admit(const HttpServerRequest& head);

  bool has_keys() const;
  struct KeyUse {
    ApiKey key;
    std::optional<int64_t> last_used;  // since the daemon started; seconds since 1970
    uint64_t requests = 0;
  };
  std::vector<KeyUse> keys() const;

 private:
  using Clock = std::chrono::steady_clock;
  struct Use {
    std::optional<int64_t> last_used;
    uint64_t requests = 0;
    double allowance = 0;  // requests that may come now; filled up at the rate, to one minute's
    std::optional<Clock::time_point> filled_at;
    std::vector<CancellationToken> under_way;
  };

  void reload(Clock::time_point now);
  bool is_trusted(const HttpServerRequest& head) const;
  void count(const ApiKey& key, const HttpServerRequest& head, Clock::time_point now);

  const ApiKeyFile file_;
  const AccessOptions options_;
  const Log* const log_;
  mutable std::mutex mutex_;  // guards all below
  std::vector<ApiKey> extra_;
  std::vector<ApiKey> keys_;  // of the file
  std::string version_;
  Clock::time_point looked_at_;
  std::map<std::string, Use> uses_;  // by key name
};

/// Error(kInvalidArgument) if an endpoint can be reached from beyond this machine while no key is
/// asked for; it says what to do.
void check_bind(std::span<const HttpEndpoint> endpoints, const AccessControl& access);

}  // namespace omg
