// SPDX-License-Identifier: Apache-2.0
#include "base/testing/reference_dir.h"

namespace omg {

std::filesystem::path reference_dir() {
  return OMG_REFERENCE_DIR;
}

}  // namespace omg
