// SPDX-License-Identifier: Apache-2.0
//
// What a user may write where a command wants a model. Until there is a store, that is a path.
#pragma once

#include <string>

namespace omg::cli {

/// The file to open. Error(kNotFound) with what to do about it when there is none.
std::string resolve_model_path(const std::string& model);

}  // namespace omg::cli
