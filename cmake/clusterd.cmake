# Flags on targets, libraries by directory, packages.

find_package(PkgConfig REQUIRED)
pkg_check_modules(LIBEVENT REQUIRED IMPORTED_TARGET libevent_core)
pkg_check_modules(LIBEVENT_HTTPS REQUIRED IMPORTED_TARGET libevent_openssl libevent_extra libssl libcrypto)
pkg_check_modules(PROTOBUF_C REQUIRED IMPORTED_TARGET libprotobuf-c)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(CRYPTO REQUIRED IMPORTED_TARGET libcrypto)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
find_program(PROTOC_C protoc-c REQUIRED)

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
endif()
# Asserts stay on in release. -O3 makes nothing faster that a node waits for, and gcc's warnings less true.
foreach(configuration RELEASE RELWITHDEBINFO MINSIZEREL)
  string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_${configuration} "${CMAKE_C_FLAGS_${configuration}}")
  string(REPLACE "-O3" "-O2" CMAKE_C_FLAGS_${configuration} "${CMAKE_C_FLAGS_${configuration}}")
endforeach()
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

option(CLUSTERD_WERROR "Warnings are errors" OFF)
option(CLUSTERD_FUZZ "Build the fuzz targets with libFuzzer (clang)" OFF)
set(CLUSTERD_SANITIZE "" CACHE STRING "address,undefined or thread")
if(CLUSTERD_FUZZ AND NOT CMAKE_C_COMPILER_ID STREQUAL "Clang")
  message(FATAL_ERROR "CLUSTERD_FUZZ needs clang (CMAKE_C_COMPILER=clang); other compilers run the corpora without it")
endif()

add_library(clusterd_flags INTERFACE)
target_compile_features(clusterd_flags INTERFACE c_std_11)
target_compile_definitions(clusterd_flags INTERFACE _GNU_SOURCE)
target_compile_options(clusterd_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes
  -Wformat=2 -Wvla -Wundef -Wwrite-strings -fno-omit-frame-pointer
  $<$<BOOL:${CLUSTERD_WERROR}>:-Werror>)
target_include_directories(clusterd_flags INTERFACE ${CMAKE_SOURCE_DIR}/src)
if(CLUSTERD_SANITIZE)
  target_compile_options(clusterd_flags INTERFACE -fsanitize=${CLUSTERD_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(clusterd_flags INTERFACE -fsanitize=${CLUSTERD_SANITIZE})
else()
  # A node listens on the network: what the compiler can do against overflows is worth its price. (Needs optimization.)
  target_compile_options(clusterd_flags INTERFACE -fstack-protector-strong
    $<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE> $<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=2>)
  target_link_options(clusterd_flags INTERFACE -Wl,-z,relro,-z,now)
endif()
if(CLUSTERD_FUZZ)
  target_compile_options(clusterd_flags INTERFACE -fsanitize=fuzzer-no-link)
  target_link_options(clusterd_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

# clusterd_library(NAME SOURCES … USES …): the library of one directory of src, called clusterd_NAME.
function(clusterd_library name)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "" "" "SOURCES;USES")
  add_library(clusterd_${name} STATIC ${ARG_SOURCES})
  target_link_libraries(clusterd_${name} PUBLIC clusterd_flags ${ARG_USES})
endfunction()
