// SPDX-License-Identifier: Apache-2.0
//
// For the tests of this folder: the routes over services that do as they are told.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/ollama/ollama.h"
#include "daemon/requests/testing/fake_services.h"
#include "net/server/testing/ask.h"

namespace omg::testing {

/// 2026-08-21T10:00:00.1Z
inline std::chrono::system_clock::time_point fixed_time() {
  return std::chrono::system_clock::time_point(std::chrono::milliseconds(1'787'306'400'100));
}

/// Has the model "m:latest", which can do all that there is.
struct OllamaDaemon {
  OllamaDaemon() {
    catalog.add("m:latest");
    add_ollama_routes(router, {service, catalog, jobs, "0.9.1", fixed_time});
  }
  Asked post(std::string path, std::string body) {
    return ask(router, "POST", std::move(path), std::move(body));
  }
  Asked get(std::string path) { return ask(router, "GET", std::move(path)); }
  /// What the model was asked last.
  const ModelCall& call() const { return service.calls.at(service.calls.size() - 1); }
  const ChatPrompt& chat() const { return std::get<ChatPrompt>(call().prompt); }

  FakeModelService service;
  FakeModelCatalog catalog;
  FakeJobService jobs;
  HttpRouter router;
};

/// Lines of a stream, without their ends.
inline std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

/// With the two durations that the dialect measures itself as 9 and 3, as long as they are there.
inline std::string with_durations(std::string text) {
  for (const auto& [name, value] :
       {std::pair("\"total_duration\":", "9"), std::pair("\"load_duration\":", "3")}) {
    const size_t at = text.find(name);
    if (at == std::string::npos) continue;
    const size_t begin = at + std::string_view(name).size();
    text.replace(begin, text.find_first_not_of("0123456789", begin) - begin, value);
  }
  return text;
}

}  // namespace omg::testing
