// SPDX-License-Identifier: Apache-2.0
//
// Manifests and challenges from a registry that means harm.
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string_view>

#include "base/error.h"
#include "hub/registry/challenge.h"
#include "hub/registry/manifest.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  omg::parse_challenge(text);
  std::vector<omg::RemoteFile> files;
  try {
    files = omg::manifest_files(omg::parse_manifest(text, "fuzzer"), "http://r/v2/a/blobs/", "m");
  } catch (const omg::Error&) {
    return 0;
  }
  std::set<std::string> paths;
  for (const omg::RemoteFile& file : files) {
    if (!file.sha256 || !paths.insert(file.path).second) std::abort();
    try {
      omg::check_remote_path(file.path, "fuzzer");
    } catch (const omg::Error&) {
      std::abort();
    }
  }
  return 0;
}
