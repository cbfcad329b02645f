// SPDX-License-Identifier: Apache-2.0
//
// OpenAI's HTTP API over the services of the daemon: /v1/chat/completions, /v1/completions,
// /v1/models, and a clear no for /v1/embeddings. Every field of a request has its effect, is
// documented as harmless (docs/openai-api.md), or is answered with 400 that names it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>

#include "daemon/requests/model_catalog.h"
#include "daemon/requests/model_service.h"
#include "net/server/http_server.h"
#include "net/server/router.h"

namespace omg {

struct OpenAiParts {
  ModelService& models;
  ModelCatalog& catalog;
  /// For `created`. Thread-safe, as the next.
  std::function<std::chrono::system_clock::time_point()> clock = [] {
    return std::chrono::system_clock::now();
  };
  /// 64 bits for ids; empty: from the system.
  std::function<uint64_t()> random;
};

/// Choices that one request may ask for with `n`, and with several prompts. They are answered in
/// parallel, and each takes its place in the KV cache.
inline constexpr int64_t kMaxOpenAiChoices = 16;
inline constexpr size_t kMaxOpenAiPromptChoices = 64;

/// The parts must outlive the router and all answers.
void add_openai_routes(HttpRouter& router, const OpenAiParts& parts);

/// HttpServerOptions::problem_answer for paths below /v1.
HttpAnswer openai_problem(const HttpProblem& problem);

}  // namespace omg
