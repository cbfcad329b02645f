// SPDX-License-Identifier: Apache-2.0
#include "clients/cli/local_model.h"

#include <filesystem>
#include <system_error>

#include "base/error.h"

namespace omg::cli {

std::string resolve_model_path(const std::string& model) {
  std::error_code status;
  const auto kind = std::filesystem::status(model, status).type();
  if (kind == std::filesystem::file_type::not_found) {
    throw Error(ErrorCode::kNotFound, "model '" + model +
                                          "' not found: there is no such file; give the path of a "
                                          ".gguf file");
  }
  if (kind == std::filesystem::file_type::directory) {
    throw Error(ErrorCode::kUnsupported,
                "'" + model + "' is a directory; give the path of a .gguf file");
  }
  return model;  // whatever else is wrong with it, opening it says
}

}  // namespace omg::cli
