# The chat-template engine: llama.cpp's Jinja sources (MIT), taken out of a pinned, hash-checked
# sdist by ./dev setup. Compiled here without the rest of llama.cpp; a four-line ggml.h stands in
# for the two macros it uses.
set(jinja_dir "${MAYFLY_CACHE}/jinja-0.3.36")
if(NOT EXISTS ${jinja_dir}/common/jinja/runtime.cpp)
  message(FATAL_ERROR "${jinja_dir} is missing: run ./dev setup, which downloads it")
endif()
set(jinja_shim "${CMAKE_BINARY_DIR}/generated/jinja")
file(WRITE ${jinja_shim}/ggml.h.new [[
#pragma once
#include <cstdio>
#include <cstdlib>
#define GGML_ASSERT(x) do { if (!(x)) { std::fprintf(stderr, "jinja: %s\n", #x); std::abort(); } } while (0)
#define GGML_ABORT(...) do { std::fprintf(stderr, __VA_ARGS__); std::abort(); } while (0)
]])
file(COPY_FILE ${jinja_shim}/ggml.h.new ${jinja_shim}/ggml.h ONLY_IF_DIFFERENT)
add_library(jinja STATIC
  ${jinja_dir}/common/jinja/lexer.cpp ${jinja_dir}/common/jinja/parser.cpp
  ${jinja_dir}/common/jinja/runtime.cpp ${jinja_dir}/common/jinja/value.cpp
  ${jinja_dir}/common/jinja/string.cpp ${jinja_dir}/common/json.cpp ${jinja_dir}/common/unicode.cpp)
target_include_directories(jinja SYSTEM PUBLIC ${jinja_dir}/common ${jinja_dir}/vendor ${jinja_shim})
target_compile_options(jinja PRIVATE -w -O2)
