// SPDX-License-Identifier: Apache-2.0
//
// A look at a model before its download: enough of a file to tell what family it is.
#pragma once

#include <cstdint>
#include <string>

#include "hub/remote_model.h"
#include "net/http_client.h"

namespace omg {

/// A GGUF's metadata up to general.architecture, with room for long descriptions before it.
inline constexpr uint64_t kFirstBytes = 1u << 20;

/// The first `count` bytes of a file (all of a smaller one). Throws HttpError, and Error(kCorrupt)
/// where the server has less than it said. If all of the file came, its digest is checked.
std::string fetch_first_bytes(HttpClient& client, const RemoteFile& file,
                              uint64_t count = kFirstBytes);

/// The file that tells the family: config.json, else the first part of the weights; null if none.
const RemoteFile* telling_file(const RemoteModel& model);

}  // namespace omg
