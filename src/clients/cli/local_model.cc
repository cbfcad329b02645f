// SPDX-License-Identifier: Apache-2.0
#include "clients/cli/local_model.h"

#include <filesystem>
#include <system_error>

#include "base/error.h"
#include "clients/cli/open_store.h"
#include "daemon/jobs/describe.h"
#include "daemon/jobs/installed.h"

namespace omg::cli {
namespace {

/// What no name of a model looks like.
bool is_path_like(const std::string& model) {
  return model.starts_with("/") || model.starts_with("./") || model.starts_with("../") ||
         model.starts_with("~") || model.ends_with(".gguf");
}

LocalModel use_stored(const std::string& name) {
  LocalModel local;
  Store store = open_store();
  local.stored = store.use(require_installed(store, name));
  const StoredModel& model = local.stored->model();
  const auto main = main_gguf(model);
  if (!main) {
    throw Error(
        ErrorCode::kUnsupported,
        "'" + name +
            "' has no .gguf file, which is what this version runs; 'omg show' tells what it "
            "has");
  }
  local.path = store.path_for_reader(*local.stored, model.artifacts[*main]);
  return local;
}

}  // namespace

bool names_a_folder(const std::string& model) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(model, ignored)) return false;
  // One that has a model's name by chance does not stand in its way.
  return is_path_like(model) || !find_installed(open_store(), model);
}

bool names_a_path(const std::string& model) {
  std::error_code ignored;
  return is_path_like(model) || std::filesystem::exists(model, ignored);
}

LocalModel find_local_model(const std::string& model) {
  std::error_code status;
  const auto kind = std::filesystem::status(model, status).type();
  const bool is_folder = kind == std::filesystem::file_type::directory;
  if (is_folder && names_a_folder(model)) {
    throw Error(ErrorCode::kUnsupported,
                "'" + model + "' is a directory; give the path of a .gguf file");
  }
  // Whatever else is wrong with a path, opening it says.
  if (!is_folder && kind != std::filesystem::file_type::not_found) return {model, std::nullopt};
  if (is_path_like(model)) {
    throw Error(ErrorCode::kNotFound, "model '" + model +
                                          "' not found: there is no such file; give the path of a "
                                          ".gguf file, or a name that 'omg models' lists");
  }
  return use_stored(model);
}

}  // namespace omg::cli
