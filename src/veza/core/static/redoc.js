"use strict";
Redoc.init("swagger/doc.json", { nativeScrollbars: true }, document.getElementById("redoc"));
