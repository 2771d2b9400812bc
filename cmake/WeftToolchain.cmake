# Language level, build types, warnings, sanitizers, ccache and a fast linker. Flags that only our own code
# should see live on the interface target weft_flags.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
set(CMAKE_CXX_FLAGS_DEV "-O2")
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")

add_library(weft_flags INTERFACE)
target_include_directories(weft_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(weft_flags INTERFACE -Wall -Wextra)
if(WEFT_WERROR)
  target_compile_options(weft_flags INTERFACE -Werror)
endif()
if(WEFT_SANITIZE)
  set(CMAKE_CXX_FLAGS_DEV "-O0")  # optimising instrumented code doubles its compile time
  add_compile_options(-fsanitize=${WEFT_SANITIZE} -fno-omit-frame-pointer -g1)
  add_link_options(-fsanitize=${WEFT_SANITIZE})
  target_compile_definitions(weft_flags INTERFACE WEFT_SANITIZED)
endif()

find_program(WEFT_CCACHE ccache)
if(WEFT_CCACHE)
  # The sloppiness is what ccache asks for before it caches uses of precompiled headers.
  # Paths below the source tree are hashed as relative ones, so that clones share their cache.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}
      CCACHE_NOHASHDIR=1
      CCACHE_SLOPPINESS=pch_defines,time_macros ${WEFT_CCACHE})
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${CMAKE_CXX_COMPILER_LAUNCHER})
endif()
# A fast linker where there is one. Before 2.4, mold started PT_GNU_RELRO at .tbss, which lies on a
# page that is not mapped when .tbss ends on a page boundary: such a program does not start
# (rui314/mold issue 1151). Whether a build is hit changes with the length of its paths.
function(weft_find_linker result)
  find_program(WEFT_MOLD mold)
  find_program(WEFT_LLD ld.lld)
  set(version 0)
  if(WEFT_MOLD)
    execute_process(COMMAND ${WEFT_MOLD} --version OUTPUT_VARIABLE output)
    string(REGEX MATCH "[0-9]+\\.[0-9]+(\\.[0-9]+)?" version "${output}")
  endif()
  if(version VERSION_GREATER_EQUAL 2.4)
    set(${result} mold PARENT_SCOPE)
  elseif(WEFT_LLD)
    set(${result} lld PARENT_SCOPE)
  endif()
endfunction()
if(NOT WEFT_SANITIZE)
  weft_find_linker(WEFT_LINKER)
  if(WEFT_LINKER)
    add_link_options(-fuse-ld=${WEFT_LINKER})
  endif()
endif()
