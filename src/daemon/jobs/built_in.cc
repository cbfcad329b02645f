// SPDX-License-Identifier: Apache-2.0
#include "daemon/jobs/built_in.h"

#include "base/error.h"
#include "base/file_system.h"
#include "builtin/builtin.h"
#include "daemon/jobs/describe.h"

namespace omg {
namespace {

/// When the program was installed: what is part of it came with it.
int64_t program_time() {
  constexpr int64_t kSecond = 1'000'000'000;
  try {
    RealFileSystem files;
    const auto info = files.info(files.real_path("/proc/self/exe"));
    return info ? info->modified_ns / kSecond : 0;
  } catch (const Error&) {  // replaced while it runs
    return 0;
  }
}

}  // namespace

std::vector<StoredModel> built_in_models() {
  const std::string path(kGuidePath);
  StoredModel guide{StoreName(kGuideName)};
  guide.origin.provider = ModelProvider::kBuiltIn;
  guide.origin.repository = kGuideName;
  guide.installed_at = program_time();
  Artifact weights;
  weights.filename = kGuideFilename;
  weights.size = builtin_bytes(path)->size();
  weights.digest = guide_digest();
  weights.format = "gguf";
  weights.role = "weights";
  weights.reference = FileReference{path, FileOwner::kProgram, weights.size, 0, 0};
  guide.artifacts.push_back(std::move(weights));
  describe_from_file(path, guide);
  // A small one has no words to spare for chance: what it knows best is what it is to say.
  guide.settings.parameters["temperature"] = 0;
  return {std::move(guide)};
}

std::string nothing_to_fetch(const StoredModel& model) {
  const std::string& name = model.name.str();
  return "'" + name + "' is built in: there is nothing to fetch; 'omg run " + name + "' runs it";
}

}  // namespace omg
