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

# Our copy of the sources, with the calls of core/text/template_budget.h put in, and without two
# copies of whole tables for every name that is looked up (a render takes a third of the time).
# jinja_patch(file FROM TO): replaces all FROM in the file; it must be there.
function(jinja_patch file from to)
  string(FIND "${jinja_text_${file}}" "${from}" at)
  if(at EQUAL -1)
    message(FATAL_ERROR "common/jinja/${file} is not the version that cmake/Jinja.cmake knows")
  endif()
  string(REPLACE "${from}" "${to}" text "${jinja_text_${file}}")
  set(jinja_text_${file} "${text}" PARENT_SCOPE)
endfunction()

file(GLOB jinja_files RELATIVE ${jinja_dir}/common/jinja
  ${jinja_dir}/common/jinja/*.h ${jinja_dir}/common/jinja/*.cpp)
set(jinja_patched parser.cpp runtime.cpp runtime.h string.cpp utils.h value.cpp value.h)
foreach(file ${jinja_patched})
  file(READ ${jinja_dir}/common/jinja/${file} jinja_text_${file})
endforeach()
jinja_patch(utils.h [[#pragma once]] [[#pragma once
#include "core/text/template_budget.h"]])
jinja_patch(utils.h [[builder.append(replace);]] [[mayfly::template_budget::spend_bytes(replace.size());
        builder.append(replace);]])
jinja_patch(string.cpp [[        parts.push_back(part);
    }
    return *this]] [[        mayfly::template_budget::spend_bytes(part.val.size() + 32);
        parts.push_back(part);
    }
    return *this]])
# Its asserts are about the template, which is a stranger's: an error of it, not the end of the program.
jinja_patch(runtime.h [[assert(dynamic_cast<T *>(ptr.get()) != nullptr);]]
  [[if (dynamic_cast<T *>(ptr.get()) == nullptr) throw std::runtime_error("something else must stand there");]])
jinja_patch(runtime.h [[assert(dynamic_cast<T *>(ptr.get()) != nullptr || dynamic_cast<U *>(ptr.get()) != nullptr);]]
  [[if (dynamic_cast<T *>(ptr.get()) == nullptr && dynamic_cast<U *>(ptr.get()) == nullptr) {
        throw std::runtime_error("something else must stand there");
    }]])
jinja_patch(parser.cpp [[assert(start_pos < tokens.size());]]
  [[if (start_pos >= tokens.size()) throw std::runtime_error("it ends too early");]])
jinja_patch(runtime.cpp [[value statement::execute(context & ctx) const {]]
  [[value statement::execute(context & ctx) const {
    const mayfly::template_budget::Step step;]])
jinja_patch(runtime.cpp [[auto & arr = iterable_val->as_array();]]
  [[auto & arr = iterable_val->as_array();
        mayfly::template_budget::spend_steps(arr.size());]])
jinja_patch(runtime.cpp [[auto builtins = global_builtins()]]
  [[const auto & builtins = global_builtins()]])
jinja_patch(runtime.cpp [[auto builtins = input->get_builtins()]]
  [[const auto & builtins = input->get_builtins()]])
jinja_patch(value.cpp [[out->push_back(mk_val<value_int>(i))]]
  [[mayfly::template_budget::spend_steps(1), out->push_back(mk_val<value_int>(i))]])
jinja_patch(value.cpp [[result += val_arr->as_string().str();]]
  [[mayfly::template_budget::spend_bytes(delim.size() + val_arr->as_string().length());
                result += val_arr->as_string().str();]])
jinja_patch(value.cpp [[indent.assign(val_width->as_int(), ' ')]]
  [[mayfly::template_budget::spend_bytes(std::max<int64_t>(val_width->as_int(), 0));
                indent.assign(std::max<int64_t>(val_width->as_int(), 0), ' ')]])
jinja_patch(value.cpp [[indented += indent;]]
  [[mayfly::template_budget::spend_bytes(indent.size());
                    indented += indent;]])
jinja_patch(value.cpp [[indent = static_cast<int>(val_indent->as_int());]]
  [[mayfly::template_budget::spend_bytes(1000 * std::clamp<int64_t>(val_indent->as_int(), 0, 1 << 30));
        indent = static_cast<int>(val_indent->as_int());]])
jinja_patch(value.cpp [[while ((pos = str.find(old_str, pos)) != std::string::npos) {
                        str.replace(pos, old_str.length(), new_str);
                        pos += new_str.length();
                    }]] [[string_replace_all(str, old_str, new_str);]])
jinja_patch(value.cpp [[new_res.reserve(str.length() + new_str.length() * (str.length() + 1));]]
  [[mayfly::template_budget::spend_bytes(str.length() + new_str.length() * (str.length() + 1));
                    new_res.reserve(str.length() + new_str.length() * (str.length() + 1));]])
jinja_patch(value.cpp [[result.parts.insert(result.parts.end(),]]
  [[mayfly::template_budget::spend_bytes(arg_str.length() + 32 * arg_str.parts.size());
                result.parts.insert(result.parts.end(),]])
jinja_patch(value.cpp [[    auto indent_str = [indent, curr_lvl]() -> std::string {]]
  [[    mayfly::template_budget::spend_steps(1);
    auto indent_str = [indent, curr_lvl]() -> std::string {]])
jinja_patch(value.h [[ss << (immutable ? "(" : "[");]]
  [[mayfly::template_budget::spend_steps(1);
        ss << (immutable ? "(" : "[");]])
jinja_patch(runtime.cpp [[auto & right_arr = right_val->as_array();]]
  [[auto & right_arr = right_val->as_array();
            mayfly::template_budget::spend_steps(left_arr.size() + right_arr.size());]])
jinja_patch(runtime.h [[static void gather_string_parts_recursive(const value & val, value_string & parts) {]]
  [[static void gather_string_parts_recursive(const value & val, value_string & parts) {
    mayfly::template_budget::spend_steps(1);]])
file(MAKE_DIRECTORY ${jinja_shim}/jinja)
foreach(file ${jinja_files})
  if(file IN_LIST jinja_patched)
    file(WRITE ${jinja_shim}/patched.tmp "${jinja_text_${file}}")
    file(COPY_FILE ${jinja_shim}/patched.tmp ${jinja_shim}/jinja/${file} ONLY_IF_DIFFERENT)
  else()
    file(COPY_FILE ${jinja_dir}/common/jinja/${file} ${jinja_shim}/jinja/${file} ONLY_IF_DIFFERENT)
  endif()
endforeach()

add_library(jinja STATIC
  ${jinja_shim}/jinja/lexer.cpp ${jinja_shim}/jinja/parser.cpp ${jinja_shim}/jinja/runtime.cpp
  ${jinja_shim}/jinja/value.cpp ${jinja_shim}/jinja/string.cpp
  ${jinja_dir}/common/json.cpp ${jinja_dir}/common/unicode.cpp)
target_include_directories(jinja SYSTEM PUBLIC
  ${jinja_shim} ${jinja_dir}/common ${jinja_dir}/vendor)
target_include_directories(jinja PRIVATE ${CMAKE_SOURCE_DIR})
target_compile_options(jinja PRIVATE -w -O2)
set_target_properties(jinja PROPERTIES UNITY_BUILD ${MAYFLY_UNITY} UNITY_BUILD_BATCH_SIZE 3)
# It specializes templates that a file before it in the same compilation has used.
set_source_files_properties(${jinja_dir}/common/json.cpp PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
