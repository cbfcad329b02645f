// SPDX-License-Identifier: Apache-2.0
//
// OpenAI's routes over services that answer as the tests say.
#pragma once

#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "daemon/openai/openai.h"
#include "daemon/requests/testing/fake_services.h"
#include "net/server/testing/ask.h"

namespace omg::testing {

/// Hands its sinks to the test.
class OpenModelService final : public FakeModelService {
 public:
  struct Open {
    ModelCall call;
    AnswerSink sink;
    bool cancelled = false;
  };
  std::vector<std::shared_ptr<Open>> open;

  Canceller answer(ModelCall call, AnswerSink sink) override {
    auto own = std::make_shared<Open>();
    own->call = std::move(call);
    own->sink = std::move(sink);
    open.push_back(own);
    return [own] { own->cancelled = true; };
  }
  void end_all(const AnswerResult& result) {
    for (const auto& own : open) own->sink.on_end(nullptr, result);
  }
};

template <typename Service>
class OpenAiRoutes : public ::testing::Test {
 protected:
  OpenAiRoutes() {
    OpenAiParts parts{models, catalog};
    parts.clock = [] { return std::chrono::system_clock::from_time_t(1'755'770'400); };
    parts.random = [this] { return counter_++; };
    add_openai_routes(router, parts);
    options.problem_answer = openai_problem;
  }

  Asked post(const std::string& path, const std::string& body) {
    return LocalRequest(router, options, "POST", path, body).wait();
  }
  Asked get(const std::string& path) { return LocalRequest(router, options, "GET", path).wait(); }
  /// A chat of one message with further fields.
  Asked chat(const std::string& fields = "") {
    return post("/v1/chat/completions", chat_body(fields));
  }
  static std::string chat_body(const std::string& fields = "") {
    return R"({"model":"m","messages":[{"role":"user","content":"Hello"}])" +
           (fields.empty() ? "" : "," + fields) + "}";
  }
  std::unique_ptr<LocalRequest> begin(const std::string& path, const std::string& body) {
    return std::make_unique<LocalRequest>(router, options, "POST", path, body);
  }

  Service models;
  FakeModelCatalog catalog;
  HttpRouter router;
  HttpServerOptions options;

 private:
  uint64_t counter_ = 0;
};

/// What stands behind each "data: ".
inline std::vector<std::string> events_of(const std::string& body) {
  std::vector<std::string> events;
  for (size_t begin = 0; begin < body.size();) {
    const size_t end = body.find("\n\n", begin);
    if (end == std::string::npos || body.compare(begin, 6, "data: ") != 0) {
      ADD_FAILURE() << "no event at " << begin << " of " << body;
      return events;
    }
    events.push_back(body.substr(begin + 6, end - begin - 6));
    begin = end + 2;
  }
  return events;
}

inline json::object object_of(const std::string& text) {
  return parse_json(text, "the answer").as_object();
}
inline std::string text_of(const json::value& value) {
  return std::string(value.as_string().data(), value.as_string().size());
}

}  // namespace omg::testing
