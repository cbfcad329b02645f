// SPDX-License-Identifier: Apache-2.0
//
// Registry protocol v2 as Ollama and OCI registries speak it: pull and push.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/cancellation.h"
#include "base/digest.h"
#include "hub/model_name.h"
#include "hub/registry/manifest.h"
#include "hub/remote_model.h"
#include "net/http_client.h"

namespace omg {

struct RegistryOptions {
  std::string username;  // "" = anonymous
  std::string password;
  /// Plain http to other hosts than this machine too, unless a name says https.
  bool insecure = false;
  /// Bytes of one PATCH.
  uint64_t upload_chunk_bytes = 64u << 20;
};

/// One blob to push, and where its bytes come from.
struct PushBlob {
  Digest digest;
  HttpUpload content;
};

struct PushProgress {
  Digest digest;
  uint64_t sent = 0;
  uint64_t size = 0;
  bool already_there = false;
};

/// Not thread-safe, as its client, which must outlive it. Keeps tokens between requests.
class Registry {
 public:
  Registry(HttpClient& client, RegistryOptions options = {});

  /// The model that the name stands for now. The manifest's bytes must have the digest that the
  /// name or the registry gives.
  RemoteModel resolve(const RegistryName& name);
  /// Sends what the registry lacks, the manifest (byte for byte) last, and checks that it kept each
  /// under the digest we computed while sending. `media_type` is the manifest's.
  void push(const RegistryName& name, const std::vector<PushBlob>& blobs,
            const std::string& manifest, const std::string& media_type,
            const std::function<void(const PushProgress&)>& progress = {},
            const CancellationToken& cancellation = {});

 private:
  struct Place;  // endpoint and repository
  Place place_of(const RegistryName& name) const;
  /// Sends with the token that the place needs; fetches one where a 401 asks for it.
  HttpResponse send(const Place& place, HttpRequest request, const std::string& actions);
  std::string authorize(const Place& place, const HttpResponse& refused,
                        const std::string& actions);
  HttpResponse get_manifest(const Place& place, const std::string& reference);
  void push_blob(const Place& place, const PushBlob& blob,
                 const std::function<void(const PushProgress&)>& progress,
                 const CancellationToken& cancellation);
  HttpRequest at_location(const Place& place, const HttpResponse& response) const;

  HttpClient& client_;
  RegistryOptions options_;
  std::map<std::string, std::string> tokens_;  // origin, repository and actions -> Authorization
};

}  // namespace omg
