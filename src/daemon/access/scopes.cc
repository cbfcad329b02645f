// SPDX-License-Identifier: Apache-2.0
#include "daemon/access/scopes.h"

#include <array>

#include "base/error.h"

namespace omg {
namespace {

constexpr std::array<std::pair<Scope, std::string_view>, 3> kScopes = {
    {{Scope::kInfer, "infer"}, {Scope::kManage, "manage"}, {Scope::kMetrics, "metrics"}}};

struct Row {
  std::string_view method;
  std::string_view route;  // parameters as ":", whatever their names and kinds are
  std::optional<Scope> scope;
};

constexpr std::optional<Scope> kOpen = std::nullopt;

// Probes of orchestrators and load balancers carry no keys, and learn no more than "it is up".
constexpr std::array<Row, 36> kRows = {{
    {"GET", "/", kOpen},
    {"GET", "/health", kOpen},
    {"GET", "/v1/health", kOpen},
    {"GET", "/readyz", kOpen},
    {"GET", "/api/version", kOpen},

    {"POST", "/v1/chat/completions", Scope::kInfer},
    {"POST", "/v1/completions", Scope::kInfer},
    {"POST", "/v1/responses", Scope::kInfer},
    {"GET", "/v1/responses/:", Scope::kInfer},
    {"POST", "/v1/embeddings", Scope::kInfer},
    {"POST", "/v1/rerank", Scope::kInfer},
    {"GET", "/v1/models", Scope::kInfer},
    {"GET", "/v1/models/:", Scope::kInfer},
    {"POST", "/v1/audio/transcriptions", Scope::kInfer},
    {"POST", "/v1/audio/translations", Scope::kInfer},
    {"POST", "/v1/audio/speech", Scope::kInfer},
    {"POST", "/v1/images/generations", Scope::kInfer},
    {"POST", "/v1/messages", Scope::kInfer},
    {"POST", "/v1/messages/count_tokens", Scope::kInfer},

    {"POST", "/api/generate", Scope::kInfer},
    {"POST", "/api/chat", Scope::kInfer},
    {"POST", "/api/embed", Scope::kInfer},
    {"POST", "/api/embeddings", Scope::kInfer},
    {"GET", "/api/tags", Scope::kInfer},
    {"GET", "/api/ps", Scope::kInfer},
    {"POST", "/api/show", Scope::kInfer},

    {"POST", "/v1/generate", Scope::kInfer},
    {"POST", "/v1/generate_stream", Scope::kInfer},
    {"POST", "/v1/generate_batch", Scope::kInfer},
    {"POST", "/v1/tokenize", Scope::kInfer},
    {"POST", "/v1/detokenize", Scope::kInfer},
    {"GET", "/v1/plan", Scope::kInfer},

    {"GET", "/metrics", Scope::kMetrics},

    // Also what no row names; these are here so that the table can be read.
    {"GET", "/v1/jobs", Scope::kManage},
    {"GET", "/v1/events", Scope::kManage},
    {"POST", "/v1/shutdown", Scope::kManage},
}};

/// "/v1/models/*model" as "/v1/models/:".
std::string without_names(std::string_view route) {
  std::string result;
  for (size_t i = 0; i < route.size(); ++i) {
    const bool begins_part = i > 0 && route[i - 1] == '/';
    if (begins_part && (route[i] == ':' || route[i] == '*')) {
      result += ':';
      while (i + 1 < route.size() && route[i + 1] != '/') ++i;
    } else {
      result += route[i];
    }
  }
  return result;
}

}  // namespace

std::string_view scope_name(Scope scope) {
  return kScopes[static_cast<size_t>(scope)].second;
}

Scope scope_named(std::string_view name) {
  for (const auto& [scope, own] : kScopes) {
    if (own == name) return scope;
  }
  throw Error(ErrorCode::kInvalidArgument, "there is no scope '" + std::string(name.substr(0, 64)) +
                                               "': a key may have infer, manage and metrics");
}

ScopeSet ScopeSet::all() {
  ScopeSet set;
  for (const auto& row : kScopes) set.add(row.first);
  return set;
}

std::vector<std::string> ScopeSet::names() const {
  std::vector<std::string> names;
  for (const auto& [scope, name] : kScopes) {
    if (has(scope)) names.emplace_back(name);
  }
  return names;
}

std::optional<Scope> needed_scope(std::string_view method, std::string_view route) {
  if (method == "HEAD") method = "GET";
  const std::string pattern = without_names(route);
  for (const Row& row : kRows) {
    if (row.method == method && row.route == pattern) return row.scope;
  }
  return Scope::kManage;
}

}  // namespace omg
