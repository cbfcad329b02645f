// SPDX-License-Identifier: Apache-2.0
//
// Any text: an error, or what is written of it is read back as the same. (Only quotes that would
// end a text early are written otherwise, and then they are others for good.)
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "base/error.h"
#include "daemon/requests/modelfile.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  omg::Modelfile file;
  try {
    file = omg::parse_modelfile(text);
  } catch (const omg::Error&) {
    return 0;
  }
  const std::string written = omg::write_modelfile(file);
  const omg::Modelfile again = omg::parse_modelfile(written);
  if (again.from.size() != file.from.size() || again.adapters.size() != file.adapters.size() ||
      again.settings.messages.size() != file.settings.messages.size() ||
      omg::write_modelfile(again) != written) {
    std::abort();
  }
  return 0;
}
