// SPDX-License-Identifier: Apache-2.0
#include "hub/first_bytes.h"

#include <algorithm>

#include "base/error.h"
#include "base/model_file_name.h"
#include "hub/fetch.h"

namespace omg {

std::string fetch_first_bytes(HttpClient& client, const RemoteFile& file, uint64_t count) {
  const uint64_t wanted = std::min(count, file.size);
  if (wanted == 0) return "";
  HttpRequest request;
  request.url = file.url;
  request.authorization = file.authorization;
  request.addresses = file.addresses;
  request.range = ByteRange{0, wanted};
  request.total_timeout = std::chrono::seconds(120);
  HttpResponse response = fetch(client, request);
  if (!response.ok()) throw http_status_error(response, "cannot load " + file.path);
  if (response.body.size() != wanted ||
      (response.total_size && *response.total_size != file.size)) {
    throw Error(ErrorCode::kCorrupt,
                "cannot load " + file.path + ": it has another size than the hub says (" +
                    std::to_string(file.size) + " bytes); try again, it may have just changed");
  }
  if (wanted == file.size && file.sha256 && sha256(response.body) != *file.sha256) {
    throw Error(ErrorCode::kCorrupt, "cannot load " + file.path +
                                         ": its bytes do not have the digest that the hub says; "
                                         "try again, and distrust the hub if it stays so");
  }
  return std::move(response.body);
}

const RemoteFile* telling_file(const RemoteModel& model) {
  const RemoteFile* weights = nullptr;
  for (const RemoteFile& file : model.files) {
    if (file.path == "config.json") return &file;
    if (file.role != RemoteFileRole::kWeights) continue;
    // Of parts the first holds the metadata.
    if (weights == nullptr || file.path < weights->path) weights = &file;
  }
  return weights != nullptr && is_gguf(weights->path) ? weights : nullptr;
}

}  // namespace omg
