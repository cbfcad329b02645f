// SPDX-License-Identifier: Apache-2.0
//
// A registry in the test's own process that has one model, under any name.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <map>
#include <string>

#include "base/digest.h"
#include "net/testing/scripted_server.h"

namespace omg::testing {

inline constexpr const char* kManifestType = "application/vnd.docker.distribution.manifest.v2+json";

/// Keeps blobs and manifests of any name.
struct FakeRegistry {
  FakeRegistry() : server([this](const ScriptedRequest& request) { return serve(request); }) {}

  std::string add(const std::string& bytes) {
    blobs[sha256(bytes).str()] = bytes;
    return R"("digest":")" + sha256(bytes).str() + R"(","size":)" + std::to_string(bytes.size());
  }
  void add_model(const std::string& gguf, const std::string& params) {
    manifest = R"({"schemaVersion":2,"mediaType":")" + std::string(kManifestType) +
               R"(","config":{"mediaType":"application/vnd.docker.container.image.v1+json",)" +
               add("{}") + R"(},"layers":[{"mediaType":"application/vnd.ollama.image.model",)" +
               add(gguf) + R"(},{"mediaType":"application/vnd.ollama.image.params",)" +
               add(params) + "}]}";
  }

  ScriptedAnswer serve(const ScriptedRequest& request) {
    const std::string& target = request.target;
    if (target.find("/manifests/") != std::string::npos) {
      if (request.method == "PUT") {
        pushed = request.body;
        return answer(201, "", "Docker-Content-Digest: " + sha256(pushed).str() + "\r\n");
      }
      return manifest.empty() ? answer(404, "{}") : answer(200, manifest);
    }
    if (target.find("/blobs/uploads/") != std::string::npos) {
      if (request.method == "POST") upload.clear();
      if (request.method == "PATCH") upload += request.body;
      if (request.method == "PUT") blobs[sha256(upload).str()] = upload;
      const std::string end = std::to_string(upload.empty() ? 0 : upload.size() - 1);
      return answer(request.method == "PUT" ? 201 : 202, "",
                    "Location: /v2/ns/m/blobs/uploads/1\r\nRange: 0-" + end + "\r\n");
    }
    const size_t at = target.find("/blobs/");
    if (at == std::string::npos || !blobs.contains(target.substr(at + 7))) return answer(404, "");
    return blob(blobs[target.substr(at + 7)], request);
  }

  ScriptedAnswer blob(const std::string& bytes, const ScriptedRequest& request) {
    size_t begin = 0, last = bytes.size() - 1;
    const std::string range = request.header("Range");
    const bool has_range = std::sscanf(range.c_str(), "bytes=%zu-%zu", &begin, &last) > 0;
    last = std::min(last, bytes.size() - 1);
    const std::string place = "Content-Range: bytes " + std::to_string(begin) + "-" +
                              std::to_string(last) + "/" + std::to_string(bytes.size()) + "\r\n";
    const std::string part = bytes.substr(begin, last - begin + 1);
    ScriptedAnswer reply = answer(has_range ? 206 : 200, part, has_range ? place : "");
    if (request.method == "HEAD") reply.bytes.resize(reply.bytes.size() - part.size());
    // The first answer shows the family; then the head comes, and next to nothing.
    if (is_slow && request.method == "GET" && part.size() > 4096 && seen_gguf++ > 0) {
      reply.bytes.resize(reply.bytes.size() - part.size());
      reply.endless = std::string(1, part[0]);
      reply.pause = std::chrono::milliseconds(5);
    }
    return reply;
  }

  std::string name() const { return "127.0.0.1:" + std::to_string(server.port()) + "/ns/m:t"; }

  std::map<std::string, std::string> blobs;
  std::string manifest, pushed, upload;
  std::atomic<bool> is_slow = false;
  std::atomic<int> seen_gguf = 0;
  ScriptedServer server;  // last: it serves as soon as it is there
};

}  // namespace omg::testing
