// SPDX-License-Identifier: Apache-2.0
//
// Picks the reader for a path. GGUF is the one format so far.
#include "formats/open_model_file.h"

#include "formats/gguf/reader.h"

namespace omg {

ModelFile open_model_file(const std::string& path) {
  return gguf::open(path);
}

}  // namespace omg
