// SPDX-License-Identifier: Apache-2.0
//
// What an API key may do, and which of it each route needs. The table names patterns, as the router
// does; a route that is in no row needs the most, so that one that is forgotten here is not open.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace omg {

enum class Scope : uint8_t {
  kInfer,    // ask models, see which there are
  kManage,   // bring, delete, load and stop them; see jobs, runs, logs
  kMetrics,  // read figures
};

std::string_view scope_name(Scope scope);
/// Error(kInvalidArgument) names those there are.
Scope scope_named(std::string_view name);

class ScopeSet {
 public:
  void add(Scope scope) { bits_ |= bit(scope); }
  bool has(Scope scope) const { return (bits_ & bit(scope)) != 0; }
  bool is_empty() const { return bits_ == 0; }
  static ScopeSet all();
  /// "infer", "manage", "metrics", in this order.
  std::vector<std::string> names() const;
  friend bool operator==(const ScopeSet&, const ScopeSet&) = default;

 private:
  static uint8_t bit(Scope scope) {
    return static_cast<uint8_t>(1u << static_cast<unsigned>(scope));
  }
  uint8_t bits_ = 0;
};

/// What a request to a route needs; nothing: no key at all. `route`: the router's pattern. HEAD is
/// as GET.
std::optional<Scope> needed_scope(std::string_view method, std::string_view route);

}  // namespace omg
